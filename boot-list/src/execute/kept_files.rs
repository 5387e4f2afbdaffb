//! Puts the files of others into the new `loader.N`: acts.
//!
//! It reads none of them into memory. A file that cannot be written is a warning. Only if there is no room the update fails,
//! because room can be made.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_sysroot::Roots;
use ostree_sysroot::foreign_file::LoaderPath;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use system::copy::{self, Copier};
use system::dir::{self, Kind, write_all};
use system::{Context, SystemError, tree};

use crate::plan::foreign::Kept;

/// Puts `kept` into `new`, the directory of entries that will replace the current one.
///
/// # Errors
/// The current directory cannot be read, or there is no room. Any other failure is a warning.
pub fn keep(roots: &Roots, new: &OwnedFd, kept: &[Kept]) -> Result<(), SystemError> {
    if kept.is_empty() {
        return Ok(());
    }
    let old = dir::open(&roots.boot, "loader", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/boot/loader")?;
    for file in kept {
        let (Kept::AsItIs { from, to } | Kept::Relinked { from, to, .. }) = file;
        let (old, new) = (directory(&old, from)?, directory(new, to)?);
        let kind = match tree::kind_of(&old, from.name()) {
            // Removed since the plan was made.
            Err(Errno::NOENT) => continue,
            other => other.context("read the attributes of", from)?,
        };
        match file {
            // The new list needs this entry, so a failure is an error.
            Kept::Relinked { content, .. } => {
                rewrite(&old, from.name(), &new, to.name(), content).context("rewrite", from)?;
            }
            Kept::AsItIs { .. } => {
                match second_name(kind, &old, from.name(), &new, to.name()).context("keep", from) {
                    Ok(()) => {}
                    // Room can be made.
                    Err(error) if matches!(error.reason, Errno::NOSPC | Errno::DQUOT) => return Err(error),
                    Err(error) => {
                        log::warn!("{error}: it will be moved after the update is active");
                        // A partial copy would look like a complete one.
                        tree::remove(&new, to.name()).context("remove", to)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Moves the files that [`keep`] could not put into the new directory. `old` is the replaced directory, which is removed next.
pub fn move_the_rest(roots: &Roots, old: &str, kept: &[Kept]) {
    let moved = |from: &LoaderPath, to: &LoaderPath| -> Result<(), SystemError> {
        let open = |name: &str| dir::open(&roots.boot, name, OFlags::RDONLY | OFlags::DIRECTORY).context("open", name);
        let (source, target) = (directory(&open(old)?, from)?, directory(&open("loader")?, to)?);
        if tree::look_up(&target, to.name()).context("read the attributes of", to)?.is_some() {
            return Ok(());
        }
        match rustix::fs::renameat(&source, from.name(), &target, to.name()) {
            // Another program has removed it.
            Err(Errno::NOENT) => Ok(()),
            other => other.context("move", from),
        }
    };
    for file in kept {
        if let Kept::AsItIs { from, to } = file
            && let Err(error) = moved(from, to)
        {
            log::warn!("{error}: this update loses {from}, which libostree did not write");
        }
    }
}

/// Gives one file in the current `loader.N` a second name in `new`, if it is there.
///
/// # Errors
/// It cannot be made.
pub(crate) fn keep_one(roots: &Roots, new: &OwnedFd, name: &str) -> Result<(), SystemError> {
    let old = dir::open(&roots.boot, "loader", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/boot/loader")?;
    let name = name.as_bytes();
    let path = LoaderPath::beside(name.to_owned());
    match tree::kind_of(&old, name) {
        Err(Errno::NOENT) => Ok(()),
        other => other.and_then(|kind| second_name(kind, &old, name, new, name)).context("keep", path),
    }
}

/// Opens the directory of a path.
fn directory(loader: &OwnedFd, path: &LoaderPath) -> Result<OwnedFd, SystemError> {
    let name = if path.is_in_entries() { "entries" } else { "." };
    dir::open(loader, name, OFlags::RDONLY | OFlags::DIRECTORY).context("open", format_args!("the directory of {path}"))
}

/// Makes a hard link, which keeps content, mode, owner, times and attributes. Makes a copy if a hard link is impossible there.
fn second_name(kind: Kind, old: &OwnedFd, from: &[u8], new: &OwnedFd, to: &[u8]) -> Result<(), Errno> {
    match kind {
        Kind::Directory => {
            rustix::fs::mkdirat(new, to, Mode::from_raw_mode(0o700))?;
            let (old, new) = (tree::open(old, from)?, tree::open(new, to)?);
            let mut copy = |_, directory: BorrowedFd<'_>, name: &[u8], target: BorrowedFd<'_>| {
                copy_file(directory, name, target, name)
            };
            return copy::link_tree(old.as_fd(), new.as_fd(), &mut copy);
        }
        Kind::Link => return copy::link(old, from, new, to).map(drop),
        Kind::File | Kind::Other => {}
    }
    match rustix::fs::linkat(old, from, new, to, AtFlags::empty()) {
        Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => copy_file(old, from, new, to),
        other => other,
    }
}

fn copy_file(old: impl AsFd, from: &[u8], new: impl AsFd, to: &[u8]) -> Result<(), Errno> {
    Copier::default().file(tree::open_file(old, from)?, new, to).map(drop)
}

/// Writes `content` to `to`, with the owner and mode of `from`.
fn rewrite(old: &OwnedFd, from: &[u8], new: &OwnedFd, to: &[u8], content: &[u8]) -> Result<(), Errno> {
    let stat = rustix::fs::statat(old, from, AtFlags::SYMLINK_NOFOLLOW)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(new, to, flags, Mode::from_raw_mode(0o600))?;
    write_all(&file, content)?;
    copy::owner_and_mode(&stat, file.as_fd())
}
