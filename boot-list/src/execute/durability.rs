//! The two syncs: one before the swap and one after it.

use std::os::fd::AsFd;
use std::time::Instant;

use ostree_sysroot::Roots;
use system::sync::{self, Freeze};
use system::{Context, SystemError};

use super::{journal, sabotage};

/// Syncs the physical root and `/boot`. On `/boot` it also flushes the journal, because boot loaders do not replay journals.
///
/// # Errors
/// As syncfs(2), or `FIFREEZE` of ioctl(2).
pub fn everything(roots: &Roots) -> Result<Option<Freeze>, SystemError> {
    physical_root(roots)?;
    boot(roots)
}

/// Syncs the physical root.
///
/// # Errors
/// As syncfs(2), or `FIFREEZE` of ioctl(2).
pub fn physical_root(roots: &Roots) -> Result<(), SystemError> {
    if sabotage::is_on("no-sync") {
        return Ok(());
    }
    let begin = Instant::now();
    sync::filesystem(&roots.sysroot).context("sync", "the physical root")?;
    journal::synced(begin.elapsed());
    Ok(())
}

/// Syncs `/boot`, and flushes its journal for boot loaders.
///
/// # Errors
/// As syncfs(2), or `FIFREEZE` of ioctl(2).
pub fn boot(roots: &Roots) -> Result<Option<Freeze>, SystemError> {
    if sabotage::is_on("no-sync") {
        return Ok(None);
    }
    if sabotage::is_on("no-freeze") {
        return sync::filesystem(&roots.boot).map(|()| None).context("sync", "/boot");
    }
    let freeze = sync::through_the_journal(roots.boot.as_fd()).context("sync", "/boot")?;
    if freeze == Freeze::Unsupported {
        log::warn!("/boot cannot be frozen; after a power cut GRUB may not see this update");
    }
    Ok(Some(freeze))
}

/// Makes removals from `/boot/ostree` durable. Boot loaders do not read these names, so the journal is not flushed.
///
/// # Errors
/// As fsync(2).
pub fn boot_ostree(roots: &Roots) -> Result<(), SystemError> {
    if sabotage::is_on("no-sync") {
        return Ok(());
    }
    // Without the directory there is nothing to remove from.
    let Some(directory) = roots.boot_ostree()? else { return Ok(()) };
    rustix::fs::fsync(directory).context("sync", "/boot/ostree")
}
