//! Visits the directories of a tree, with one of them open at a time.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::dir::{self, Kind};
use crate::listing::{Entry, entries};

/// Calls `visit` for the open directory `root` and for each directory below it, a directory before those in it: with its path from
/// `root` (`.` for `root` itself), its descriptor, and what is in it. No link is followed, and no mount is entered.
///
/// # Errors
/// As `visit` and the system calls; `ENAMETOOLONG` for a directory whose path is longer than the kernel takes, 4,095 bytes.
pub fn directories(
    root: impl AsFd,
    mut visit: impl FnMut(&OsStr, BorrowedFd<'_>, &[Entry]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    directories_in(root.as_fd(), &mut visit)
}

/// What is done with one directory.
type Visit<'a> = dyn FnMut(&OsStr, BorrowedFd<'_>, &[Entry]) -> Result<(), Errno> + 'a;

fn directories_in(root: BorrowedFd<'_>, visit: &mut Visit<'_>) -> Result<(), Errno> {
    let mut left = vec![b".".to_vec()];
    while let Some(path) = left.pop() {
        let directory = dir::open_plainly(root, OsStr::from_bytes(&path), OFlags::RDONLY | OFlags::DIRECTORY)?;
        let found = entries(&directory)?;
        visit(OsStr::from_bytes(&path), directory.as_fd(), &found)?;
        let inner = found.iter().filter(|(_, kind)| *kind == Kind::Directory);
        left.extend(inner.map(|(name, _)| [path.as_slice(), b"/", name].concat()));
    }
    Ok(())
}
