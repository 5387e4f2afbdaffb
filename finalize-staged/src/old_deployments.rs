//! `--clean`: after a boot, removes the deployments that no entry names any more. Shutdown leaves those that an update has replaced
//! where they are: to delete a tree takes longer than all the rest, and while the machine goes down somebody waits for it.
//!
//! libostree's own clean-up removes the same directories, and it does not matter which of the two comes first. This one takes the
//! lock of the sysroot for a second at a time, and looks anew each time, so that no `ostree` command waits for it, and killed at
//! any point it leaves what the next one can go on with: the origin file goes last.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use crate::boot_links;
use crate::cleanup;
use crate::deployment_list;
use crate::error::Error;
use crate::roots::Roots;
use crate::run::{lock, require_booted_and_root};
use crate::staged::RunOstree;
use crate::sysroot::Sysroot;

/// For how long the lock is held.
const SLICE: Duration = Duration::from_secs(1);
/// For how long it is left to others.
const PAUSE: Duration = Duration::from_millis(100);
/// Who has it for longer than this is installing something, and cleans up at its end.
const PATIENCE: Duration = Duration::from_secs(600);
/// Directories that are open at a time; what is deeper is removed without looking at the clock.
const DEEPEST: usize = 64;

/// Removes them all.
pub(crate) fn clean() -> Result<(), Error> {
    require_booted_and_root()?;
    // Without `/boot`, which may be automounted, and stays as it is when there is nothing to do.
    let sysroot = dir::open_root(std::path::Path::new("/sysroot")).context("open", "/sysroot")?;
    if !is_any_without_boot_link(&sysroot)? {
        return Ok(());
    }
    let roots = Roots::open_with_writable_sysroot()?;
    let mut failed = Vec::new();
    loop {
        let lock = match lock(&roots, PATIENCE, &|| {}) {
            Err(error @ Error::Locked { .. }) => {
                log::info!("{error}: it cleans up at its end");
                return Ok(());
            }
            other => other?,
        };
        let paths = match old(&roots) {
            Err(error @ Error::UnknownLayout { .. }) => {
                log::info!("{error}: cleaning up is left to ostree");
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
            "no deployment is removed: a boot loader entry leads nowhere, and its deployment may still be wanted"
        );
        return Ok(Vec::new());
    }
    let list = deployment_list::current(&sysroot);
    let current = sysroot.current(sysroot.bootversion, sysroot.subbootversion, list);
    let mut kept = match RunOstree::open()? {
        Some(run) => run.deployments()?,
        None => Vec::new(),
    };
    // Entries are in /boot, which may be another filesystem than it was; these are beside the deployments.
    kept.extend(boot_links::deployments(&roots.sysroot)?);
    Ok(cleanup::old_deployments(roots, &current, &kept)?)
}

/// Removes `path`, with all that is in it, until it is time to stop; whether it is gone.
fn remove_until(root: &OwnedFd, path: &str, end: Instant) -> Result<bool, Errno> {
    let Some((parent, name)) = path.rsplit_once('/') else { return Ok(true) };
    let parent = dir::open(root, parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
    match tree::kind_of(&parent, name.as_bytes()) {
        Ok(Kind::Directory) if !empty_until(open(&parent, name.as_bytes())?, end)? => return Ok(false),
        Ok(_) => {}
        Err(Errno::NOENT) => return Ok(true),
        Err(error) => return Err(error),
    }
    tree::remove(&parent, name.as_bytes())?;
    Ok(true)
}

fn open(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    use std::os::unix::ffi::OsStrExt;
    // What is mounted there is an error, and stays.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    dir::open_plainly(directory, std::ffi::OsStr::from_bytes(name), flags)
}

/// A directory that is being emptied.
struct Level {
    directory: OwnedFd,
    left: Vec<(Vec<u8>, Kind)>,
    /// The directory in it that the next level is about.
    inner: Option<Vec<u8>>,
}

fn empty_until(directory: OwnedFd, end: Instant) -> Result<bool, Errno> {
    let level = |directory: OwnedFd| Ok::<_, Errno>(Level { left: tree::entries(&directory)?, directory, inner: None });
    let mut levels = vec![level(directory)?];
    loop {
        let depth = levels.len();
        let Some(last) = levels.last_mut() else { return Ok(true) };
        let gone = match last.inner.take().map(|name| (name, Kind::Other)).or_else(|| last.left.pop()) {
            Some((name, Kind::Directory)) if depth < DEEPEST => {
                let inner = match open(&last.directory, &name) {
                    Err(Errno::NOENT) => continue,
                    other => other?,
                };
                last.inner = Some(name);
                levels.push(level(inner)?);
                continue;
            }
            Some((name, _)) => tree::remove(&last.directory, &name),
            None => {
                levels.pop();
                continue;
            }
        };
        gone?;
        // Only now: however slow it is to come here, each turn removes something.
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn deep() -> (tempfile::TempDir, OwnedFd) {
        let root = tempfile::tempdir().unwrap();
        let mut path = root.path().join("old");
        fs::create_dir(&path).unwrap();
        for level in 0..100 {
            path = path.join(format!("{level}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("file"), "").unwrap();
        }
        fs::create_dir(root.path().join("kept")).unwrap();
        std::os::unix::fs::symlink("../kept", root.path().join("old/link")).unwrap();
        let opened = OwnedFd::from(fs::File::open(root.path()).unwrap());
        (root, opened)
    }

    #[test]
    fn a_tree_is_removed_in_slices() {
        let (root, opened) = deep();
        let path = "./old";
        assert!(!remove_until(&opened, path, Instant::now()).unwrap(), "no time, and it is all gone");
        let mut slices = 0;
        while !remove_until(&opened, path, Instant::now() + Duration::from_micros(100)).unwrap() {
            slices += 1;
            assert!(slices < 100_000);
        }
        assert!(!root.path().join("old").exists() && root.path().join("kept").exists());
        assert!(remove_until(&opened, path, Instant::now()).unwrap(), "what is gone is gone");
    }
}
