//! Writes a set of boot links, beside all that exist, and makes it the active one.
//!
//! Everything is on the disk before the one rename that counts, and nothing of an old set is removed before that is on the disk, too.
//! So a power cut leaves the old set or the new one, whole. What a killed run has left is removed by the next one.

use std::os::fd::OwnedFd;

use ostree_sysroot::Roots;
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir, sync, tree};

use super::plan::NewSet;

const MODE: Mode = Mode::from_raw_mode(0o755);

/// Does it.
pub(super) fn execute(roots: &Roots, set: &NewSet) -> Result<(), SystemError> {
    let ostree = dir::open(&roots.sysroot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/ostree")?;
    let new = format!("{}.firstroot-new", set.name);
    write(&ostree, set, &new)?;
    sync::filesystem(&ostree).context("sync", "/sysroot")?;
    give_name(&ostree, &new, &set.directory).context("make", format_args!("/ostree/{}", set.directory))?;
    let temporary = format!("{}.tmp", set.name);
    tree::remove(&ostree, temporary.as_bytes())
        .and_then(|()| rustix::fs::symlinkat(&set.directory, &ostree, &temporary))
        .context("make the link", format_args!("/ostree/{temporary}"))?;
    rustix::fs::renameat(&ostree, &temporary, &ostree, &set.name)
        .context("make the link", format_args!("/ostree/{}", set.name))?;
    sync::filesystem(&ostree).context("sync", "/sysroot")?;
    let old = set.replaces.iter().filter(|old| **old != set.directory);
    for old in old.chain([&new]) {
        tree::remove(&ostree, old.as_bytes()).context("remove", format_args!("/ostree/{old}"))?;
    }
    Ok(())
}

/// Gives the new directory its name. What has it is kept under the other name.
fn give_name(ostree: &OwnedFd, new: &str, name: &str) -> Result<(), Errno> {
    match rustix::fs::renameat_with(ostree, new, ostree, name, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => rustix::fs::renameat_with(ostree, new, ostree, name, RenameFlags::EXCHANGE),
        other => other,
    }
}

fn write(ostree: &OwnedFd, set: &NewSet, directory: &str) -> Result<(), SystemError> {
    let shown = format!("/ostree/{}", directory);
    tree::remove(ostree, directory.as_bytes()).context("remove", &shown)?;
    let make = |path: &str| match rustix::fs::mkdirat(ostree, path, MODE) {
        Err(Errno::EXIST) => Ok(()),
        other => other.context("make", format_args!("/ostree/{path}")),
    };
    make(directory)?;
    for (path, target) in &set.links {
        for (at, _) in path.match_indices('/') {
            make(&format!("{}/{}", directory, path.get(..at).unwrap_or_default()))?;
        }
        rustix::fs::symlinkat(target.as_str(), ostree, format!("{}/{path}", directory))
            .context("make the boot link", format_args!("{shown}/{path}"))?;
    }
    Ok(())
}
