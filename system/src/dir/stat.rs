//! The attributes of files, by `statx(2)`.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::kind::{Kind, kind};

/// The result of `statx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The kind of file.
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
        Self {
            kind: kind(FileType::from_raw_mode(stat.stx_mode.into())),
            mode: stat.stx_mode & 0o7777,
            size: stat.stx_size,
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        }
    }
}

/// The attributes of an open descriptor.
///
/// # Errors
/// As `statx(2)`.
pub fn stat_fd(fd: impl AsFd) -> Result<Stat, Errno> {
    stat(fd.as_fd(), "", AtFlags::EMPTY_PATH)
}

fn stat(fd: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<Stat, Errno> {
    rustix::fs::statx(fd, name, flags, StatxFlags::BASIC_STATS).map(Stat::from)
}

/// The attributes of one name in the directory `fd`; `name` has no `/`. A link is not followed. `None`: it does not exist.
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
