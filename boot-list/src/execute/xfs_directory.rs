//! `/boot/ostree` on XFS: kept in a block of its own.
//!
//! XFS keeps a small directory inside its inode. With one name too many it moves to a block, and inode and block are two writes: a
//! boot loader that does not replay the journal can find the one without the other, and then no kernel at all, the old one's
//! included. Two files with long names keep the directory from ever going back; and they come into it where nobody looks, in
//! a copy of the directory (its files are hard links) that is exchanged with it when it is whole and durable. This happens
//! once on each disk.

use std::os::fd::{AsFd, OwnedFd};

use ostree_sysroot::Roots;
use ostree_sysroot::boot_names::COPY_OF_OSTREE as ASIDE;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, copy, tree};

use super::exchange::exchange;
use super::{durability, install, sabotage};

/// `f_type` of XFS, see statfs(2).
const XFS: i64 = 0x5846_5342;
/// The copy; after the exchange, what it was copied from.
const SHOWN: &str = "/boot/ostree.new";

/// Together longer than what the largest usual inode (512 bytes) has room for.
fn names() -> [String; 2] {
    ["1", "2"].map(|number| format!(".{:-<200}{number}", "keeps-this-directory-out-of-its-inode-for-boot-loaders"))
}

/// Whether that is so; on other filesystems there is nothing to see to. Where there is no such directory yet, it is not.
///
/// # Errors
/// What cannot be looked at.
pub fn is_out_of_its_inode(roots: &Roots) -> Result<bool, SystemError> {
    if rustix::fs::fstatfs(&roots.boot).context("look at", "/boot")?.f_type != XFS {
        return Ok(true);
    }
    let Some(ostree) = roots.boot_ostree()? else { return Ok(false) };
    for name in names() {
        if dir::stat_name(&ostree, &name).context("look at", "/boot/ostree")?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sees to it, under the lock of the sysroot. What cannot be done is a warning: without it the danger is a moment long.
pub fn keep_out_of_its_inode(roots: &Roots) {
    if sabotage::is_on("directory-in-its-inode") {
        return;
    }
    if let Err(error) = keep(roots) {
        log::warn!("{error}: after a power cut during this update GRUB may not find /boot/ostree");
    }
}

fn keep(roots: &Roots) -> Result<(), SystemError> {
    if is_out_of_its_inode(roots)? {
        return Ok(());
    }
    let ostree = install::boot_ostree(roots)?;
    let stat = rustix::fs::fstat(&ostree).context("look at", "/boot/ostree")?;
    let name = dir::stat_name(&roots.boot, "ostree").context("look at", "/boot/ostree")?;
    let is_link = name.is_some_and(|name| name.kind == Kind::Link);
    // A link is followed, and not exchanged with a directory.
    if stat.st_blocks != 0 || is_link {
        return pad(&ostree).context("write to", "/boot/ostree");
    }
    let remove = || tree::remove(&roots.boot, ASIDE.as_bytes()).context("remove", SHOWN);
    let exchanged = copy_aside(roots, &ostree)
        .and_then(|()| durability::boot(roots))
        .and_then(|_| exchange(&roots.boot, ASIDE, "ostree").context("swap", "/boot/ostree"));
    if exchanged.is_err() {
        // A copy that does not count.
        return exchanged.and(remove());
    }
    // The directory that did count has this name now: while the disk may still lead to it, it stays. Its files have another name.
    durability::boot(roots)?;
    remove()
}

fn copy_aside(roots: &Roots, ostree: &OwnedFd) -> Result<(), SystemError> {
    tree::remove(&roots.boot, ASIDE.as_bytes()).context("remove", SHOWN)?;
    rustix::fs::mkdirat(&roots.boot, ASIDE, Mode::from_raw_mode(0o700)).context("make", SHOWN)?;
    let aside = tree::open(&roots.boot, ASIDE.as_bytes()).context("open", SHOWN)?;
    copy::link_tree(ostree.as_fd(), aside.as_fd(), &mut |why, _, _, _| Err(why))
        .and_then(|()| pad(&aside))
        .context("copy /boot/ostree to", SHOWN)
}

fn pad(directory: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    names().iter().try_for_each(|name| rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o644)).map(drop))
}
