//! `--clean`: after a boot, removes the deployments that no entry names any more. Shutdown leaves those that an update has replaced
//! where they are: to delete a tree takes longer than all the rest, and while the machine goes down somebody waits for it.
//!
//! libostree's own clean-up removes the same directories, and it does not matter which of the two comes first. This one takes the
//! lock of the sysroot for a second at a time, and looks anew each time, so that no `ostree` command waits for it, and killed at
//! any point it leaves what the next one can go on with: the origin file goes last.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use boot_list::execute::cleanup;
use boot_list::plan::list;
use boot_list::plan::removals::Current;
use ostree_sysroot::{Roots, Sysroot, SysrootError, boot_links};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::checks::require_booted_and_root;
use crate::error::Error;
use crate::execute::lock::lock;
use crate::execute::slices::remove_until;
use crate::execute::writable_roots;
use crate::read::run_directory::RunDirectory;

/// For how long the lock is held.
const SLICE: Duration = Duration::from_secs(1);
/// For how long it is left to others.
const PAUSE: Duration = Duration::from_millis(100);
/// Who has it for longer than this is installing something, and cleans up at its end.
const PATIENCE: Duration = Duration::from_secs(600);

/// Removes them all.
pub(crate) fn clean() -> Result<(), Error> {
    require_booted_and_root()?;
    // Without `/boot`, which may be automounted, and stays as it is when there is nothing to do.
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

/// Whether there is a deployment without a boot link, as far as the physical root says: there are more of them than links.
fn is_any_without_boot_link(sysroot: &OwnedFd) -> Result<bool, SystemError> {
    let list = |path: &str| match dir::names(sysroot, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other.context("list", format_args!("/sysroot/{path}")),
    };
    let (mut links, mut deployments) = (0, 0);
    for farm in ["ostree/boot.0", "ostree/boot.1"] {
        let stateroots = list(farm)?;
        if links > 0 && !stateroots.is_empty() {
            // One of the two is a rest, and which is not said here.
            return Ok(true);
        }
        for stateroot in stateroots {
            for bootcsum in list(&format!("{farm}/{stateroot}"))? {
                links += list(&format!("{farm}/{stateroot}/{bootcsum}"))?.len();
            }
        }
    }
    for stateroot in list("ostree/deploy")? {
        // Each with its origin file.
        let is_origin = |name: &&String| name.ends_with(".origin");
        let names = list(&format!("ostree/deploy/{stateroot}/deploy"))?;
        let origins = names.iter().filter(is_origin).count();
        deployments += origins.max(names.len() - origins);
        if list(&format!("ostree/deploy/{stateroot}/backing"))?.iter().any(|id| !names.contains(id)) {
            return Ok(true);
        }
    }
    Ok(deployments > links)
}

/// What goes, in the order in which it goes: paths relative to the physical root. Nothing of a deployment that is in the list, is
/// staged, or is the root that a soft reboot goes to.
fn old(roots: &Roots) -> Result<Vec<String>, Error> {
    let sysroot = Sysroot::load(roots)?;
    if sysroot.is_incomplete {
        log::warn!(
            "no deployment is removed: an entry leads to no known deployment, and what it boots may still be needed"
        );
        return Ok(Vec::new());
    }
    let current = Current::with(&sysroot, list::current(&sysroot));
    let mut kept = match RunDirectory::open(Path::new("/"))? {
        Some(run) => run.deployments()?,
        None => Vec::new(),
    };
    // Entries are in /boot, which may be another filesystem than it was; these are beside the deployments.
    kept.extend(boot_links::deployments(&roots.sysroot)?);
    Ok(cleanup::old_deployments(roots, &current, &kept)?)
}
