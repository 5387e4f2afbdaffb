//! After the swap: removes what no entry and no boot link leads to any more. A failure is a warning: the next update tries again.
//! Objects of the repository stay; the running system prunes them.

use std::os::fd::OwnedFd;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::deployment::{identity, is_pinned};
use ostree_sysroot::leftovers::{self, Leftovers, Unreadable};
use ostree_sysroot::{Roots, free_space, grub};
use rustix::fs::{OFlags, Timestamps};
use system::{Context, SystemError, dir, tree};

use super::refs;
use crate::plan::removals::{Current, removals};

/// Removes what is unused, and writes the refs of the list. Each failure is one warning. If there is room, the deployments of
/// `before`, the list that this update has replaced, stay until the next boot. A deployment that was not in `before` has been
/// unused for a whole boot: it is removed now.
pub fn clean(roots: &Roots, current: &Current, before: &[DeploymentPath]) {
    if let Err(error) = bump(roots) {
        log::warn!("{error}");
    }
    clean_boot(roots, current);
    if current.is_incomplete {
        log::warn!(
            "no deployment and no kernel is removed: an entry leads to no known deployment, and what it boots may still be needed"
        );
    }
    // Only a complete picture of the disk shows what is unused.
    match find(roots, current).and_then(|found| without_what_stays(roots, found, current)) {
        Ok(mut found) => {
            if !is_nearly_full(roots) {
                found.deployments.retain(|path| !before.contains(path));
                found.backing.retain(|path| !before.contains(path));
            }
            remove_all(&roots.sysroot, "/", &removals(&found, current).sysroot);
        }
        Err(error) => log::warn!("nothing is removed: {error}"),
    }
    if let Err(error) = refs::write(&roots.sysroot, current) {
        log::warn!("the refs of the deployments are not up to date: {error}; to update them: `ostree admin cleanup`");
    }
}

/// The paths on the physical root that are removed after a boot: deployments that are neither in the list, nor in `kept`, nor
/// pinned, nor the root of a prepared soft reboot, with their origins and backing directories.
pub fn old_deployments(roots: &Roots, current: &Current, kept: &[DeploymentPath]) -> Result<Vec<String>, SystemError> {
    let found = without_what_stays(roots, find(roots, current)?, current)?;
    let Leftovers { mut deployments, mut backing, .. } = found;
    deployments.retain(|path| !kept.contains(path));
    backing.retain(|path| !kept.contains(path));
    Ok(removals(&Leftovers { deployments, backing, ..Leftovers::default() }, current).sysroot)
}

/// The names on the disk, and which of them GRUB's menu needs: the old menu, if a new one could not be written.
fn find(roots: &Roots, current: &Current) -> Result<Leftovers, SystemError> {
    let mut found = leftovers::find(roots, Unreadable::IsAnError)?;
    found.needed_by_grub = grub::needed(roots, current.bootloader)?;
    if let Some(reason) = &found.needed_by_grub.unread {
        log::warn!("no deployment, kernel or boot link is removed: GRUB's menu may need it, but {reason}");
    }
    Ok(found)
}

/// Whether the physical root needs the room of old deployments now.
fn is_nearly_full(roots: &Roots) -> bool {
    free_space::physical_root_is_nearly_full(roots).unwrap_or_else(|error| {
        log::warn!("cannot read the free space of the physical root: {error}; removing old deployments now");
        true
    })
}

/// The part of [`clean`] in `/boot`: it makes room there.
pub fn clean_boot(roots: &Roots, current: &Current) {
    match find(roots, current) {
        Ok(found) => remove_all(&roots.boot, "/boot/", &removals(&found, current).boot),
        Err(error) => log::warn!("nothing is removed from /boot: {error}"),
    }
}

fn remove_all(root: &OwnedFd, shown: &str, paths: &[String]) {
    for path in paths {
        let removed = match path.rsplit_once('/') {
            Some((directory, name)) => dir::open(root, directory, OFlags::RDONLY | OFlags::DIRECTORY)
                .and_then(|directory| tree::remove(directory, name.as_bytes())),
            None => tree::remove(root, path.as_bytes()),
        };
        if let Err(error) = removed {
            log::warn!("cannot remove {shown}{path}: {error}; the next update removes it");
        }
    }
}

/// Keeps the deployment that a prepared soft reboot has mounted, and pinned deployments, even if they have no entry.
fn without_what_stays(roots: &Roots, mut found: Leftovers, current: &Current) -> Result<Leftovers, SystemError> {
    for path in found.deployments.clone() {
        let is_next = current.next_root.is_some() && identity(roots, &path)? == current.next_root;
        let is_pinned = || {
            is_pinned(roots, &path).unwrap_or_else(|error| {
                log::warn!("{error}: the deployment may be pinned and is kept");
                true
            })
        };
        let is_listed = current.list.iter().any(|listed| listed.deployment.path == path);
        if is_next || !is_listed && is_pinned() {
            found.deployments.remove(&path);
            found.backing.remove(&path);
        }
    }
    Ok(found)
}

/// Other programs watch the time of this directory to notice a new list.
/// Tells other programs that the list has changed: they look at the time of this directory.
///
/// # Errors
/// It cannot be written.
pub fn bump(roots: &Roots) -> Result<(), SystemError> {
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    dir::open(&roots.sysroot, "ostree/deploy", OFlags::RDONLY | OFlags::DIRECTORY)
        .and_then(|directory| rustix::fs::futimens(directory, &times))
        .context("touch", "/sysroot/ostree/deploy")
}
