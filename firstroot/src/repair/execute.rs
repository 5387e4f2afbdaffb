//! Writes a set of boot links, beside the one that is active, and makes it the active one.
//!
//! Everything is on the disk before the one rename that counts, and the old set is removed after that is. So a power cut leaves the
//! old set or the new one, whole. What a killed run has left is removed by the next one, or by libostree.

use std::os::fd::OwnedFd;

use ostree_sysroot::Roots;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir, sync, tree};

use super::plan::NewSet;

const MODE: Mode = Mode::from_raw_mode(0o755);

/// Does it.
pub(super) fn execute(roots: &Roots, set: &NewSet) -> Result<(), SystemError> {
    let ostree = dir::open(&roots.sysroot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/ostree")?;
    write(&ostree, set)?;
    sync::filesystem(&ostree).context("sync", "/sysroot")?;
    let temporary = format!("{}.tmp", set.name);
    tree::remove(&ostree, temporary.as_bytes())
        .and_then(|()| rustix::fs::symlinkat(&set.directory, &ostree, &temporary))
        .context("make the link", format_args!("/ostree/{temporary}"))?;
    rustix::fs::renameat(&ostree, &temporary, &ostree, &set.name)
        .context("make the link", format_args!("/ostree/{}", set.name))?;
    sync::filesystem(&ostree).context("sync", "/sysroot")?;
    if let Some(old) = set.replaces.as_ref().filter(|old| **old != set.directory) {
        tree::remove(&ostree, old.as_bytes()).context("remove", format_args!("/ostree/{old}"))?;
    }
    Ok(())
}

fn write(ostree: &OwnedFd, set: &NewSet) -> Result<(), SystemError> {
    let shown = format!("/ostree/{}", set.directory);
    tree::remove(ostree, set.directory.as_bytes()).context("remove", &shown)?;
    let make = |path: &str| match rustix::fs::mkdirat(ostree, path, MODE) {
        Err(Errno::EXIST) => Ok(()),
        other => other.context("make", format_args!("/ostree/{path}")),
    };
    make(&set.directory)?;
    for (path, target) in &set.links {
        for (at, _) in path.match_indices('/') {
            make(&format!("{}/{}", set.directory, path.get(..at).unwrap_or_default()))?;
        }
        rustix::fs::symlinkat(target.as_str(), ostree, format!("{}/{path}", set.directory))
            .context("make the boot link", format_args!("{shown}/{path}"))?;
    }
    Ok(())
}
