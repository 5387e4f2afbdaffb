//! Directories of the target.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use super::sabotage;
use crate::target::{MAKES_ROOM, PAYLOADS, ROOM_FOR_NAMES, TEMPORARY};

/// Each name takes 21 slots: with so many a directory has its room.
const NAMES_FOR_ROOM: usize = 8;
const LONGEST_NAME: usize = 255;
/// Each of these names would have been left by another power cut.
const ATTEMPTS: u32 = 100;

/// Makes a directory, durably. It may be there.
///
/// A new directory is a slot with a cluster that must be cleared: with only the slot on the disk, it is full of what was in that cluster
/// before, and cannot be listed. So it gets its name when it is cleared, and, if kernels are in it, has room for names: see
/// [`open_with_room`].
pub(super) fn make_directory(target: BorrowedFd<'_>, path: &str) -> Result<(), SystemError> {
    let (above, name) = path.rsplit_once('/').unwrap_or((".", path));
    let parent = open_directory(target, above)?;
    if !is_there(&parent, name).context("look up", shown(path))? {
        // What a power cut leaves of it must not be in a directory that the next run lists to the end.
        let is_payloads = path.starts_with(&format!("{PAYLOADS}/"));
        let beside = if is_payloads { open_with_room(target, PAYLOADS)? } else { open_directory(target, above)? };
        let make = || {
            let temporary = make_temporary(&beside, name)?;
            rustix::fs::fsync(&beside)?;
            if is_payloads {
                // Names come and go in it while entries boot from it.
                make_room(&dir::open_plainly(&beside, &temporary, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
            }
            rustix::fs::renameat(&beside, &temporary, &parent, name)
        };
        make().context("make", shown(path))?;
    }
    // As of a file: only this writes the cluster into the slot.
    let made = open_directory(target, path)?;
    rustix::fs::fsync(made).and_then(|()| rustix::fs::fsync(&parent)).context("sync", shown(path))
}

fn is_there(directory: &OwnedFd, name: &str) -> Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    Ok(dir::if_there(dir::open(directory, name, flags))?.is_some())
}

/// A directory with a name that is not there. One that is may be damaged, and then stays.
fn make_temporary(directory: &OwnedFd, name: &str) -> Result<String, Errno> {
    for number in 0..ATTEMPTS {
        let temporary = format!("{name}.{number}{TEMPORARY}");
        // What a power cut has left is empty, or damaged.
        let _ = rustix::fs::unlinkat(directory, &temporary, AtFlags::REMOVEDIR);
        match rustix::fs::mkdirat(directory, &temporary, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST | Errno::IO) => {}
            other => return other.map(|()| temporary),
        }
    }
    Err(Errno::EXIST)
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
