//! Lookups, by `openat2(2)` with `RESOLVE_IN_ROOT`: absolute links and `..` are taken inside the directory, magic links are refused.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::patience::again;

/// Opens a directory of the caller's own tree, by path: the start of all lookups.
///
/// # Errors
/// As `open(2)`.
pub fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Opens `path` inside `root`. `flags` as for `open(2)`; `O_CLOEXEC` is added. With `O_NONBLOCK` a lease that another program has on
/// the file is waited for all the same.
///
/// # Errors
/// As `openat2(2)`: `ELOOP` for a loop of links and for a magic link.
pub fn open(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_in(root.as_fd(), path.as_ref(), flags)
}

/// One function for all kinds of descriptors and paths: they are many, and an initramfs is small.
fn open_in(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(root, path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

fn open_with(root: BorrowedFd<'_>, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    again(&mut || rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve))
}

/// Opens `path` below `root` without following any link, and on the same mount.
///
/// # Errors
/// As `openat2(2)`: `ELOOP` for a link, `EXDEV` where something is mounted on the way.
pub fn open_plainly(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    open_with(root.as_fd(), path.as_ref(), flags, resolve)
}

/// `None` if the name does not exist, or a directory of its path is a file. Any other error is returned.
///
/// # Errors
/// Those of `result`, but for `ENOENT` and `ENOTDIR`.
pub fn if_there<T>(result: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether something is at `path`, links followed.
///
/// # Errors
/// As `access(2)`, except those that mean that nothing is there.
pub fn exists(path: impl AsRef<Path>) -> Result<bool, Errno> {
    let found = if_there(rustix::fs::access(path.as_ref(), rustix::fs::Access::EXISTS))?;
    Ok(found.is_some())
}

/// Opens a directory inside `root`, only to look things up in it or mount on it.
///
/// # Errors
/// As [`open`].
pub fn open_directory(root: impl AsFd, path: impl AsRef<Path>) -> Result<OwnedFd, Errno> {
    open(root, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Drops values without closing their descriptors: for a process that is about to end or to execute another program. Then the
/// kernel closes all descriptors together.
///
/// The reason is the number of system calls: with a close for each, `ostree-prepare-root` makes 109 instead of 98, and 118 instead of
/// 103 with `sysroot.readonly`, which is more than the goal in docs/benchmarks.md (0.40 of libostree's). It saves little time: a call
/// takes 0.16 µs, and 0.33 µs for an attached mount, of 500 µs.
pub fn leave_open<T>(held: T) {
    std::mem::forget(held);
}

/// The target of the link `name` in the directory `fd`.
///
/// # Errors
/// As `readlink(2)`.
pub fn read_link(fd: impl AsFd, name: &str) -> Result<String, Errno> {
    rustix::fs::readlinkat(fd, name, Vec::new()).map(|target| target.to_string_lossy().into_owned())
}
