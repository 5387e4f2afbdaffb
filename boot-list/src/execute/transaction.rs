//! The swap: replaces the list of deployments by a new one, so that a power cut leaves one of the two.
//!
//! 1. **Write.** Everything is written under names that nothing leads to yet: `loader.M`, `boot.M.S` or `boot.N.T`, directories of
//!    kernels that no entry names. A power cut leaves unused files, and the old list.
//! 2. **Sync.** The physical root first: boot links and `/etc` are on the disk before anything leads to them. Then `/boot`, with
//!    its journal flushed, because boot loaders read ext4 and XFS without replaying the journal.
//! 3. **Swap.** One link is exchanged with another one, prepared beside it (`RENAME_EXCHANGE`). Replacing the old link would free
//!    its inode, and the cleared inode can reach the disk before the directory does: a boot loader would find no link at all. With
//!    the exchange both names lead to a complete set at every moment.
//! 4. **Sync** again. From now on the new list boots, also after a power cut.
//! 5. **Clean** ([`super::cleanup`]): only now the old link is removed.
//!
//! After an error before the swap, everything is undone as far as possible. After the swap every failure is a warning.

use std::os::fd::OwnedFd;

use ostree_sysroot::Roots;
use ostree_sysroot::boot_contents::{BootFiles, InstallMethod};
use ostree_sysroot::boot_names::overlay_file;
use rustix::fs::OFlags;
use rustix::io::Errno;
use selinux_policy::Labels;
use system::{Context, SystemError, dir, tree};

use super::durability;
use super::{install, labels};
use crate::loader::BootLoader;
use crate::plan::BootPlan;
use crate::plan::swap::{LinkDirectory, Swap};
use crate::watcher::{MenuIsOld, Phase, Watcher};

/// How a successful swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// The new list is on the disk.
    Durably,
    /// The new list is active, but after a power cut the old one may boot, so the files of the old list must stay.
    NotYetDurably,
}

/// What the new files are made from, besides the trees.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The directory of overlay initrds that are not in `/boot` yet.
    pub overlays: Option<&'a OwnedFd>,
    /// The labels of the new files.
    pub labels: &'a Labels,
}

/// Writes the new list and swaps it in.
///
/// # Errors
/// Anything before the swap fails: the old list stays active.
pub fn run(
    roots: &Roots,
    loader: &dyn BootLoader,
    sources: Sources<'_>,
    plan: &BootPlan,
    files: &BootFiles,
    watcher: &mut dyn Watcher,
) -> Result<Swapped, SystemError> {
    write(roots, loader, sources, plan, files, watcher)
        .and_then(|menu| {
            watcher.enter(Phase::Swap);
            if let Some(why) = &menu {
                watcher.menu_is_old(why);
            }
            loader.swap(roots, plan)
        })
        .inspect_err(|_| take_back(roots, loader, plan, files))?;
    // On the disk the stamp must not be gone while the old list is still active. `boot/loader` and the stamp are on one filesystem,
    // which keeps their order. A link on the physical root is synced before the stamp is removed.
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
            if loader.follow(roots, plan) {
                watcher.menu_is_new(roots);
            }
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
    sources: Sources<'_>,
    plan: &BootPlan,
    files: &BootFiles,
    watcher: &mut dyn Watcher,
) -> Result<Option<MenuIsOld>, SystemError> {
    settle(roots, plan)?;
    watcher.enter(Phase::Kernel);
    install::install(roots, sources.overlays, files, &mut || watcher.step())?;
    watcher.enter(Phase::Entries);
    let menu = loader.write(roots, plan, &mut || watcher.step())?;
    labels::label(roots, sources.labels, plan, files);
    watcher.enter(Phase::Sync);
    match plan.swap {
        Swap::Loader => durability::everything(roots).map(drop),
        Swap::Bootlinks => {
            // A kernel may have been repaired in `/boot`.
            if !files.installs.is_empty() {
                durability::boot(roots)?;
            }
            durability::physical_root(roots)
        }
    }?;
    Ok(menu)
}

/// Syncs if an earlier run was killed: it may have swapped without a sync, so the files that this run overwrites may still be the
/// active ones on the disk. A prepared link shows that there was such a run.
///
/// # Errors
/// A link cannot be checked, or a filesystem cannot be synced.
pub fn settle(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    let in_boot = dir::stat_name(&roots.boot, "loader.tmp").context("read the attributes of", "/boot/loader.tmp")?;
    let in_ostree = match plan.swaps.last().filter(|link| link.directory == LinkDirectory::Ostree) {
        Some(link) => {
            let path = format!("ostree/{}", link.temporary());
            match dir::open(&roots.sysroot, &path, OFlags::PATH | OFlags::NOFOLLOW) {
                Err(Errno::NOENT) => false,
                other => other.map(|_| true).context("read the attributes of", format_args!("/sysroot/{path}"))?,
            }
        }
        None => false,
    };
    if in_boot.is_some() || in_ostree {
        durability::everything(roots)?;
    }
    Ok(())
}

/// Removes the files of a list that was not swapped in, so that a full disk has as much room as before.
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
