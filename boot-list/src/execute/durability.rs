//! When what was written must be on the disk: the two moments between which the swap happens.

use std::os::fd::AsFd;
use std::time::Instant;

use ostree_sysroot::Roots;
use system::sync::{self, Freeze};
use system::{Context, SystemError};

use super::{journal, sabotage};

/// Everything written so far, on the physical root and on `/boot`, is on the disk; on `/boot` also for a boot loader, which
/// does not replay journals.
///
/// # Errors
/// As syncfs(2), or `FIFREEZE` of ioctl(2).
pub fn everything(roots: &Roots) -> Result<Option<Freeze>, SystemError> {
    physical_root(roots)?;
    boot(roots)
}

/// Everything written so far on the physical root is on the disk.
///
/// # Errors
/// As syncfs(2), or `FIFREEZE` of ioctl(2).
pub fn physical_root(roots: &Roots) -> Result<(), SystemError> {
    if sabotage::is_on("no-sync") {
        return Ok(());
    }
    let begin = Instant::now();
    sync::filesystem(&roots.sysroot).context("write out", "the physical root")?;
    journal::synced(begin.elapsed());
    Ok(())
}

/// Everything written so far on `/boot` is on the disk, for boot loaders as well.
///
/// # Errors
/// As syncfs(2), or `FIFREEZE` of ioctl(2).
pub fn boot(roots: &Roots) -> Result<Option<Freeze>, SystemError> {
    if sabotage::is_on("no-sync") {
        return Ok(None);
    }
    if sabotage::is_on("no-freeze") {
        return sync::filesystem(&roots.boot).map(|()| None).context("write out", "/boot");
    }
    let freeze = sync::through_the_journal(roots.boot.as_fd()).context("write out", "/boot")?;
    if freeze == Freeze::Unsupported {
        log::warn!("/boot cannot be frozen; after a power cut GRUB may not see this update");
    }
    Ok(Some(freeze))
}

/// Names that were removed from `/boot/ostree` are gone from the disk. No boot loader reads them.
///
/// # Errors
/// As fsync(2).
pub fn boot_ostree(roots: &Roots) -> Result<(), SystemError> {
    if sabotage::is_on("no-sync") {
        return Ok(());
    }
    // Without the directory there is nothing to remove from.
    let Some(directory) = roots.boot_ostree()? else { return Ok(()) };
    rustix::fs::fsync(directory).context("write out", "/boot/ostree")
}
