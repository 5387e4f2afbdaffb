//! Single files of a tree, by names of any bytes.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::kind::{Kind, kind};
use crate::patience::again;

/// Opens the directory `name` in `directory` for reading; a link is not followed.
///
/// # Errors
/// As `open(2)`; `ENOTDIR` if it is not a directory, also for a link.
pub fn open(directory: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

/// Opens the regular file `name` in `directory` for reading. Does not follow a link or wait for a fifo, but waits for a lease of
/// another program.
///
/// # Errors
/// As `open(2)`: `ELOOP` for a link.
pub fn open_file(directory: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let directory = directory.as_fd();
    again(&mut || rustix::fs::openat(directory, name, flags, Mode::empty()))
}

/// The kind of a name by its inode, links not followed: the directory may have another type for it.
///
/// # Errors
/// As `statx(2)`.
pub fn kind_of(directory: impl AsFd, name: &[u8]) -> Result<Kind, Errno> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(kind(FileType::from_raw_mode(stat.st_mode)))
}

/// Sets or clears the immutable flag of what is open (chattr(1)); a filesystem without such flags has nothing to set or clear.
///
/// # Errors
/// As `ioctl(FS_IOC_SETFLAGS)`.
pub fn set_immutable(file: impl AsFd, immutable: bool) -> Result<(), Errno> {
    let change = |flags: IFlags| {
        if immutable { flags | IFlags::IMMUTABLE } else { flags.difference(IFlags::IMMUTABLE) }
    };
    change_flags(file, change)
}

/// Changes the flags of what is open; a filesystem without such flags has nothing to change.
pub(crate) fn change_flags(file: impl AsFd, change: impl FnOnce(IFlags) -> IFlags) -> Result<(), Errno> {
    let flags = match rustix::fs::ioctl_getflags(&file) {
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        other => other?,
    };
    let wanted = change(flags);
    if wanted == flags { Ok(()) } else { rustix::fs::ioctl_setflags(&file, wanted) }
}

/// Reads a regular file on until `buffer` is full or the file ends; how much was read.
///
/// # Errors
/// As `read(2)`.
pub fn fill(file: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let wanted = rest.len();
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut *rest))?;
        filled += count;
        // A short read of a regular file is its end.
        if count < wanted {
            break;
        }
    }
    Ok(filled)
}
