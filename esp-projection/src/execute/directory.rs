//! Directories of the target.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use super::sabotage;
use crate::target::{MAKES_ROOM, ROOM_FOR_NAMES, TEMPORARY};

/// Each name takes 21 slots: with so many a directory has its room.
const NAMES_FOR_ROOM: usize = 8;
const LONGEST_NAME: usize = 255;

/// Makes a directory, durably. It may be there.
pub(super) fn make_directory(target: BorrowedFd<'_>, path: &str) -> Result<(), SystemError> {
    dir::make(target, path, 0o755).context("make", shown(path))?;
    let directory = open_directory(target, path)?;
    rustix::fs::fsync(&directory).context("sync", shown(path))?;
    let parent = path.rsplit_once('/').map_or(".", |(parent, _)| parent);
    let parent = open_directory(target, parent)?;
    rustix::fs::fsync(&parent).context("sync", shown(path))
}

/// Opens a directory that is none of others.
pub(super) fn open_directory(target: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, SystemError> {
    dir::open(target, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW).context("open", shown(path))
}

/// Opens a directory that boot loaders look into, with room for more names.
///
/// A directory that grows is changed in two sectors of the FAT: the chain goes on, and ends somewhere else. With one of them on the disk,
/// its chain leads to a cluster that is free: boot loaders and the kernel take the filesystem for damaged. So it grows before there
/// is anything in it that counts. Linux never makes one smaller.
pub(super) fn open_with_room(target: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, SystemError> {
    let directory = open_directory(target, path)?;
    make_room(&directory).context("make room for names in", shown(path))?;
    Ok(directory)
}

fn make_room(directory: &OwnedFd) -> Result<(), Errno> {
    let mut names = Vec::new();
    while dir::stat_fd(directory)?.size < ROOM_FOR_NAMES
        && names.len() < NAMES_FOR_ROOM
        && !sabotage::is_on("no-room-for-names")
    {
        let begin = format!("{MAKES_ROOM}{}-", names.len());
        let name = format!("{begin:-<width$}{TEMPORARY}", width = LONGEST_NAME - TEMPORARY.len());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(directory, &name, flags, Mode::from_raw_mode(0o600))?;
        names.push(name);
    }
    for name in &names {
        dir::remove_file(directory, name)?;
    }
    if names.is_empty() { Ok(()) } else { rustix::fs::fsync(directory) }
}

/// Makes everything on the target durable.
///
/// # Errors
/// As `syncfs(2)`.
pub fn sync(target: BorrowedFd<'_>) -> Result<(), SystemError> {
    // The descriptor of a mount is none that can be synced.
    let root = open_directory(target, ".")?;
    system::sync::filesystem(root.as_fd()).context("sync", "the ESP")
}

/// A path in a message.
pub(super) fn shown(path: &str) -> String {
    format!("{path} on the ESP")
}
