//! `--clean`: after a boot, removes the deployments that no entry names any more. Shutdown leaves the replaced deployments on the
//! disk, because removing a tree takes longer than the rest of a finalization.
//!
//! libostree's clean-up removes the same directories, and the order of the two does not matter. This one holds the lock of the
//! sysroot for a second at a time, and reads the disk again each time, so that no `ostree` command waits for it. If it is killed,
//! the next run goes on: the origin file is removed last.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use boot_list::execute::cleanup;
use boot_list::plan::list;
use boot_list::plan::removals::Current;
use ostree_sysroot::leftovers::{self, Leftovers, Unreadable};
use ostree_sysroot::{Roots, Sysroot, SysrootError, boot_links};
use system::{Context, SystemError, dir};

use crate::checks::require_booted_and_root;
use crate::error::Error;
use crate::execute::esp;
use crate::execute::lock::lock;
use crate::execute::slices::remove_until;
use crate::execute::writable_roots;
use crate::read::run_directory::RunDirectory;

/// How long the lock is held.
const SLICE: Duration = Duration::from_secs(1);
/// How long other programs can take it.
const PAUSE: Duration = Duration::from_millis(100);
/// A program that holds the lock longer than this is deploying, and cleans up when it ends.
const PATIENCE: Duration = Duration::from_secs(600);

/// Removes all of them.
pub(crate) fn clean() -> Result<(), Error> {
    require_booted_and_root()?;
    // Without `/boot`: if there is nothing to do, an automounted one need not be mounted.
    let sysroot = dir::open_root(Path::new("/sysroot")).context("open", "/sysroot")?;
    if !is_any_without_boot_link(&sysroot)? {
        return Ok(());
    }
    let roots = writable_roots::open_with_writable_sysroot()?;
    let mut failed = Vec::new();
    loop {
        let lock = match lock(&roots, PATIENCE, &|| {}) {
            Err(Error::Locked { holder, .. }) => {
                log::info!("{holder} holds the sysroot lock, and cleans up when it ends");
                return Ok(());
            }
            other => other?,
        };
        let paths = match old(&roots) {
            Err(error @ Error::Sysroot(SysrootError::UnknownLayout { .. })) => {
                log::info!("{error}: ostree cleans up on this system");
                return Ok(());
            }
            other => other?,
        };
        let paths: Vec<String> = paths.into_iter().filter(|path| !failed.contains(path)).collect();
        let end = Instant::now() + SLICE;
        let is_done = paths.iter().all(|path| match remove_until(&roots.sysroot, path, end) {
            Ok(is_done) => is_done,
            Err(error) => {
                log::warn!("cannot remove /sysroot/{path}: {error}; the next boot tries again");
                failed.push(path.clone());
                true
            }
        });
        drop(lock);
        if is_done {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a deployment has no boot link, by the numbers on the physical root: there are more deployments than links.
fn is_any_without_boot_link(sysroot: &OwnedFd) -> Result<bool, SystemError> {
    let links = boot_links::list(sysroot.as_fd()).all()?;
    let has_links = |set: &str| links.iter().any(|link| link.path.starts_with(set));
    if has_links("ostree/boot.0/") && has_links("ostree/boot.1/") {
        // One of the two sets is unused; finding out which one needs `/boot`.
        return Ok(true);
    }
    let Leftovers { deployments, backing, .. } = leftovers::in_stateroots(sysroot, Unreadable::IsAnError)?;
    Ok(deployments.len() > links.len() || !backing.is_subset(&deployments))
}

/// The paths to remove, in this order, relative to the physical root. It contains nothing of a deployment that is in the list, that
/// is staged, or that is the root of a prepared soft reboot.
fn old(roots: &Roots) -> Result<Vec<String>, Error> {
    let sysroot = Sysroot::load(roots)?;
    if sysroot.is_incomplete {
        log::warn!(
            "no deployment is removed: an entry leads to no known deployment, and what it boots may still be needed"
        );
        return Ok(Vec::new());
    }
    if !esp::is_current(roots, &sysroot) {
        log::warn!("no deployment is removed: the ESP may boot it (firstroot esp sync)");
        return Ok(Vec::new());
    }
    let current = Current::with(&sysroot, list::current(&sysroot));
    let mut kept = match RunDirectory::open(Path::new("/"))? {
        Some(run) => run.deployments()?,
        None => Vec::new(),
    };
    // The boot links, too: they are beside the deployments, while `/boot` with the entries may be another filesystem than before.
    kept.extend(boot_links::deployments(&roots.sysroot)?);
    Ok(cleanup::old_deployments(roots, &current, &kept)?)
}
