//! The swap: how a new list of deployments comes to count, whatever happens on the way.
//!
//! 1. **Write.** Everything goes to names that nothing leads to yet: `loader.M`, `boot.M.S` or `boot.N.T`, directories of
//!    kernels that no entry names. A power cut leaves rubbish, and the old list.
//! 2. **Sync.** The physical root first: boot links and `/etc` are there before anything leads to them. Then `/boot`, through its
//!    journal, since boot loaders read ext4 and XFS without replaying it.
//! 3. **Swap.** One link changes its place with another one, prepared beside it (`RENAME_EXCHANGE`). Replacing the old link would
//!    free its inode, and the cleared inode can reach the disk before the directory does: a boot loader would find no link
//!    at all. Exchanged, both names lead to a whole set at every instant.
//! 4. **Sync** again. From here on the new list counts, power cut or not.
//! 5. **Clean**, which is [`super::cleanup`]'s: only now does the old link go.
//!
//! Before the swap every error is taken back as far as possible; after it nothing is an error any more.

use std::os::fd::OwnedFd;

use ostree_sysroot::Roots;
use ostree_sysroot::boot_contents::{BootFiles, InstallMethod};
use ostree_sysroot::boot_names::overlay_file;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir, tree};

use super::durability;
use super::install;
use crate::loader::BootLoader;
use crate::plan::BootPlan;
use crate::plan::swap::{LinkDirectory, Swap};
use crate::watcher::{Phase, Watcher};

/// How a swap ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// The new list counts, power cut or not.
    Durably,
    /// The new list counts; after a power cut the old one may, so what only it needs must stay.
    NotYetDurably,
}

/// Does it. An error means that the old list counts, as before.
///
/// # Errors
/// Anything before the swap.
pub fn run(
    roots: &Roots,
    loader: &dyn BootLoader,
    overlays: Option<&OwnedFd>,
    plan: &BootPlan,
    files: &BootFiles,
    watcher: &mut dyn Watcher,
) -> Result<Swapped, SystemError> {
    write(roots, loader, overlays, plan, files, watcher)
        .and_then(|()| {
            watcher.enter(Phase::Swap);
            loader.swap(roots, plan)
        })
        .inspect_err(|_| take_back(roots, loader, plan, files))?;
    // No state of the disk may have the old list and nothing that says that it is the old one. Both are on one filesystem where the
    // loader's link is swapped, whose order is kept; elsewhere the swap is on the disk before that goes.
    let synced = match plan.swap {
        Swap::Loader => {
            watcher.swapped(roots);
            durability::everything(roots).map(drop)
        }
        Swap::Bootlinks => durability::physical_root(roots).and_then(|()| {
            watcher.swapped(roots);
            durability::boot_ostree(roots)
        }),
    };
    match synced {
        Ok(()) => {
            loader.follow(roots, plan);
            Ok(Swapped::Durably)
        }
        Err(error) => {
            log::warn!("update applied, but sync failed ({error}); old files are kept until the next update");
            Ok(Swapped::NotYetDurably)
        }
    }
}

/// Steps 1 and 2.
fn write(
    roots: &Roots,
    loader: &dyn BootLoader,
    overlays: Option<&OwnedFd>,
    plan: &BootPlan,
    files: &BootFiles,
    watcher: &mut dyn Watcher,
) -> Result<(), SystemError> {
    settle(roots, plan)?;
    watcher.enter(Phase::Kernel);
    install::install(roots, overlays, files, &mut || watcher.step())?;
    watcher.enter(Phase::Entries);
    loader.write(roots, plan)?;
    watcher.enter(Phase::Sync);
    match plan.swap {
        Swap::Loader => durability::everything(roots).map(drop),
        Swap::Bootlinks => {
            // A kernel may have been repaired.
            if !files.installs.is_empty() {
                durability::boot(roots)?;
            }
            durability::physical_root(roots)
        }
    }
}

/// A run that was killed may have swapped: what is written over from now on is what the disk may still call current. What tells
/// of such a run is a link that it prepared.
///
/// # Errors
/// What cannot be looked at, or written out.
pub fn settle(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    let in_boot = dir::stat_name(&roots.boot, "loader.tmp").context("look at", "/boot/loader.tmp")?;
    let in_ostree = match plan.swaps.last().filter(|link| link.directory == LinkDirectory::Ostree) {
        Some(link) => {
            let path = format!("ostree/{}", link.temporary());
            match dir::open(&roots.sysroot, &path, OFlags::PATH | OFlags::NOFOLLOW) {
                Err(Errno::NOENT) => false,
                other => other.map(|_| true).context("look at", format_args!("/sysroot/{path}"))?,
            }
        }
        None => false,
    };
    if in_boot.is_some() || in_ostree {
        durability::everything(roots)?;
    }
    Ok(())
}

/// Removes what was written for a list that does not count, so that on a full disk there is as much room as before.
fn take_back(roots: &Roots, loader: &dyn BootLoader, plan: &BootPlan, files: &BootFiles) {
    let mut failed = loader.take_back(roots, plan);
    match roots.boot_ostree() {
        Ok(Some(directory)) => {
            let new = files.installs.iter().filter(|install| install.method != InstallMethod::Repair);
            let overlays = files.overlays.iter().map(|overlay| overlay_file(&overlay.checksum));
            for name in new.map(|install| install.directory.clone()).chain(overlays) {
                let removed = tree::remove(&directory, name.as_bytes());
                failed.extend(removed.err().map(|error| format!("{name}: {error}")));
            }
        }
        Ok(None) => {}
        Err(error) => failed.push(error.to_string()),
    }
    if !failed.is_empty() {
        log::warn!("could not remove the files of the failed update: {}", failed.join(", "));
    }
}
