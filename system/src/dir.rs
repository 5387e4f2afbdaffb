//! Directories held by descriptor: every path is looked up inside one, and cannot leave it.
//!
//! `openat2(2)` with `RESOLVE_IN_ROOT`: absolute links and `..` are taken inside the directory, magic links are refused.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::patience::again;

/// What something is, without following a link at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Link,
    /// Anything else.
    Other,
}

/// What `statx` said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u16,
    /// Size in bytes.
    pub size: u64,
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// Something is mounted exactly there.
    pub mount_root: bool,
}

impl From<Statx> for Stat {
    fn from(stat: Statx) -> Self {
        let kind = match rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()) {
            rustix::fs::FileType::RegularFile => Kind::File,
            rustix::fs::FileType::Directory => Kind::Directory,
            rustix::fs::FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        Self {
            kind,
            mode: stat.stx_mode & 0o7777,
            size: stat.stx_size,
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

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

/// Opens `path` below `root`, by no link, not even at its end, and on the same mount.
///
/// # Errors
/// As `openat2(2)`: `ELOOP` for a link, `EXDEV` where something is mounted on the way.
pub fn open_plainly(root: impl AsFd, path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    open_with(root.as_fd(), path.as_ref(), flags, resolve)
}

/// `None` where the name is not there, or a file stands in the way to it; any other error is one.
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
/// As `access(2)`, but for those that say that nothing is there.
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

/// Gives up a descriptor without closing it: for a process that is about to end or to execute another program, for which the
/// kernel closes all that is open, in one go.
pub fn leave_open(fd: OwnedFd) {
    std::mem::forget(fd);
}

/// What an open descriptor is.
///
/// # Errors
/// As `statx(2)`.
pub fn stat_fd(fd: impl AsFd) -> Result<Stat, Errno> {
    stat(fd.as_fd(), "", AtFlags::EMPTY_PATH)
}

fn stat(fd: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<Stat, Errno> {
    rustix::fs::statx(fd, name, flags, StatxFlags::BASIC_STATS).map(Stat::from)
}

/// What one name in the directory `fd` is; `name` has no `/`. A link is not followed. `None`: it is not there.
///
/// # Errors
/// As `statx(2)`, but for `ENOENT`.
pub fn stat_name(fd: impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
    debug_assert!(!name.contains('/'), "a name is one path component");
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match stat(fd.as_fd(), name, flags) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The target of the link `name` in the directory `fd`.
///
/// # Errors
/// As `readlink(2)`.
pub fn read_link(fd: impl AsFd, name: &str) -> Result<String, Errno> {
    rustix::fs::readlinkat(fd, name, Vec::new()).map(|target| target.to_string_lossy().into_owned())
}

/// Reads a regular file inside `root`, of at most `limit` bytes. [`read_no_link`] is the same, but `ELOOP` for a link.
///
/// # Errors
/// As [`open`]; `EISDIR` for a directory, `EINVAL` for what is neither that nor a file (a fifo would wait for ever), `EFBIG`
/// for a file over the limit.
pub fn read(root: impl AsFd, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, Errno> {
    read_opened(open(root, path, FOR_READING)?, limit)
}

/// [`read`] without following a link at the end of `path`.
///
/// # Errors
/// As [`read`]; `ELOOP` for a link.
pub fn read_no_link(root: impl AsFd, path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>, Errno> {
    read_opened(open(root, path, FOR_READING | OFlags::NOFOLLOW)?, limit)
}

const FOR_READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

fn read_opened(file: OwnedFd, limit: u64) -> Result<Vec<u8>, Errno> {
    let stat = stat_fd(&file)?;
    match stat.kind {
        Kind::File if stat.size > limit => return Err(Errno::FBIG),
        Kind::File => {}
        Kind::Directory => return Err(Errno::ISDIR),
        Kind::Link | Kind::Other => return Err(Errno::INVAL),
    }
    // Files of procfs say that they are empty. Otherwise one byte more is asked for than there should be, so that all of
    // the file, and no more, is its end as well.
    let (expected, piece) = match usize::try_from(stat.size).unwrap_or(usize::MAX) {
        0 => (None, PAGE),
        size => (Some(size), size.saturating_add(1)),
    };
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(piece);
        let count = match rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes)) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if bytes.len() as u64 > limit {
            return Err(Errno::FBIG);
        }
        if count == 0 || Some(bytes.len()) == expected {
            return Ok(bytes);
        }
    }
}

/// What files without a size are read by.
const PAGE: usize = 4096;

/// The names in a directory inside `root`, sorted, without `.` and `..`, and without those that are no UTF-8; see
/// [`crate::tree::entries`].
///
/// # Errors
/// As [`open`] and [`crate::tree::entries`].
pub fn names(root: impl AsFd, path: impl AsRef<Path>) -> Result<Vec<String>, Errno> {
    let entries = crate::listing::entries(open(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
    Ok(entries.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok()).collect())
}

/// Makes the directory `path` below `fd`, whose parents only this program makes; that it exists is no error.
///
/// # Errors
/// As `mkdir(2)`; `ENOTDIR` when the name is taken by something else.
pub fn make(fd: impl AsFd, path: &str, mode: u16) -> Result<(), Errno> {
    match rustix::fs::mkdirat(&fd, path, Mode::from_raw_mode(mode.into())) {
        Err(Errno::EXIST) => match open(fd, path, OFlags::PATH | OFlags::NOFOLLOW).and_then(stat_fd)? {
            Stat { kind: Kind::Directory, .. } => Ok(()),
            _ => Err(Errno::NOTDIR),
        },
        other => other,
    }
}

/// Gives the file `name` in `fd` this content, by a rename, so that a reader sees the old or the new and no part of it.
/// For filesystems in memory: nothing is synced.
///
/// # Errors
/// As `open(2)`, `write(2)`, `rename(2)`; the new file is removed again.
pub fn replace_volatile_file(fd: impl AsFd, name: &str, bytes: &[u8], mode: u16) -> Result<(), Errno> {
    let temporary = format!(".{name}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&fd, &temporary, flags, Mode::from_raw_mode(mode.into()))?;
    let result = write_all(&file, bytes).and_then(|()| rustix::fs::renameat(&fd, &temporary, &fd, name));
    if result.is_err() {
        // The error that is being returned says more than one about the clean-up would.
        let _ = rustix::fs::unlinkat(&fd, &temporary, AtFlags::empty());
    }
    result
}

/// Gives the file `name` in `fd` this content, durably: after a power cut it has the old or the new one, whole.
///
/// # Errors
/// As `open(2)`, `write(2)`, `fsync(2)`, `rename(2)`; the new file is removed again, where the rename has not happened.
pub fn replace_file(fd: impl AsFd, name: &str, bytes: &[u8], mode: u16) -> Result<(), Errno> {
    let temporary = format!(".{name}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&fd, &temporary, flags, Mode::from_raw_mode(mode.into()))?;
    write_all(&file, bytes)
        .and_then(|()| rustix::fs::fsync(&file))
        .and_then(|()| rustix::fs::renameat(&fd, &temporary, &fd, name))
        .inspect_err(|_| {
            // The error that is being returned says more than one about the clean-up would.
            let _ = rustix::fs::unlinkat(&fd, &temporary, AtFlags::empty());
        })?;
    rustix::fs::fsync(&fd)
}

/// Removes the file `name` from `fd`; that there is none is no error.
///
/// # Errors
/// As `unlink(2)`.
pub fn remove_file(fd: impl AsFd, name: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(fd, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Makes a directory with a name of its own, `prefix` and six random letters or digits; returns the name.
///
/// # Errors
/// As `mkdir(2)`.
pub fn make_unique(fd: impl AsFd, prefix: &str, mode: u16) -> Result<String, Errno> {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ab";
    loop {
        let mut random = [0u8; 6];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::INSECURE)?;
        let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).map_or('a', |b| char::from(*b));
        let name: String = prefix.chars().chain(random.map(letter)).collect();
        match rustix::fs::mkdirat(&fd, &name, Mode::from_raw_mode(mode.into())) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes all of `bytes`.
///
/// # Errors
/// As `write(2)`.
pub fn write_all(file: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, bytes))?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
