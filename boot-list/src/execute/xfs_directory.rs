//! `/boot/ostree` on XFS: kept in a block of its own.
//!
//! XFS keeps a small directory inside its inode, and moves it to a block when it grows. Inode and block are two writes: after a
//! power cut a boot loader that does not replay the journal can find one without the other, and then no kernel at all, not even the
//! old one. Two files with long names keep the directory in its block. They are added in a copy of the directory, whose files are
//! hard links; when the copy is complete and durable, it is exchanged with the directory. This happens once on each disk.

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
/// The copy; after the exchange, the original.
const SHOWN: &str = "/boot/ostree.new";

/// Two names that together do not fit into the largest usual inode (512 bytes).
fn names() -> [String; 2] {
    ["1", "2"].map(|number| format!(".{:-<200}{number}", "keeps-this-directory-out-of-its-inode-for-boot-loaders"))
}

/// Whether `/boot/ostree` is in a block of its own. `true` on other filesystems; `false` if the directory does not exist.
///
/// # Errors
/// The attributes of the directory cannot be read.
pub fn is_out_of_its_inode(roots: &Roots) -> Result<bool, SystemError> {
    if rustix::fs::fstatfs(&roots.boot).context("read the attributes of", "/boot")?.f_type != XFS {
        return Ok(true);
    }
    let Some(ostree) = roots.boot_ostree()? else { return Ok(false) };
    for name in names() {
        if dir::stat_name(&ostree, &name).context("read the attributes of", "/boot/ostree")?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Moves `/boot/ostree` to a block of its own, under the lock of the sysroot. A failure is a warning, because without this step
/// only a power cut at the moment of a move does harm.
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
    let stat = rustix::fs::fstat(&ostree).context("read the attributes of", "/boot/ostree")?;
    let name = dir::stat_name(&roots.boot, "ostree").context("read the attributes of", "/boot/ostree")?;
    let is_link = name.is_some_and(|name| name.kind == Kind::Link);
    // A link is followed: exchanging it with a directory would change the layout.
    if stat.st_blocks != 0 || is_link {
        return pad(&ostree).context("write to", "/boot/ostree");
    }
    let remove = || tree::remove(&roots.boot, ASIDE.as_bytes()).context("remove", SHOWN);
    let exchanged = copy_aside(roots, &ostree)
        .and_then(|()| durability::boot(roots))
        .and_then(|_| exchange(&roots.boot, ASIDE, "ostree").context("swap", "/boot/ostree"));
    if exchanged.is_err() {
        // The copy is not in use.
        return exchanged.and(remove());
    }
    // The original has this name now. It stays until the exchange is on the disk. Its files have second names in the copy.
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
