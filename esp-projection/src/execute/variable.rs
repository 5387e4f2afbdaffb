//! A variable of the firmware: one write is the whole of it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use system::{dir, tree};

use crate::read::variables::GLOBAL;

/// It stays, and is there before and after the operating system has started.
const ATTRIBUTES: u32 = 7;

/// Gives a variable a value.
pub(super) fn set(directory: BorrowedFd<'_>, name: &str, value: &[u8]) -> Result<(), Errno> {
    let name = file(name);
    unlock(directory, &name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &name, flags, Mode::from_raw_mode(0o644))?;
    let whole = [&ATTRIBUTES.to_le_bytes()[..], value].concat();
    // The firmware takes what one call has: a second one would be a second value.
    if retry_on_intr(|| rustix::io::write(&file, &whole))? != whole.len() {
        return Err(Errno::IO);
    }
    // efivarfs has the new size now; an ordinary file keeps the rest of a longer one.
    let size = u64::try_from(whole.len()).unwrap_or(u64::MAX);
    if dir::stat_fd(&file)?.size > size { rustix::fs::ftruncate(&file, size) } else { Ok(()) }
}

/// Removes a variable; it may be gone.
pub(super) fn remove(directory: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let name = file(name);
    unlock(directory, &name)?;
    dir::remove_file(directory, &name)
}

fn file(name: &str) -> String {
    format!("{name}-{GLOBAL}")
}

/// efivarfs has variables immutable that it does not know: against rm, not against us.
fn unlock(directory: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    match dir::if_there(dir::open(directory.as_fd(), name, flags))? {
        Some(file) => tree::set_immutable(file, false),
        None => Ok(()),
    }
}
