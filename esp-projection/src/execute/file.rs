//! A file on FAT that is there whole, or not at all.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::dir;

use super::sabotage;
use crate::target::TEMPORARY;

/// Gives the file `name` this content.
///
/// # Errors
/// As the system calls; then the file is as before, and a temporary one may be left.
pub(super) fn write(directory: &OwnedFd, name: &str, content: &[u8]) -> Result<(), Errno> {
    let file = create(directory, name)?;
    dir::write_all(&file, content)?;
    put_in_place(directory, name, &file)
}

/// A new file, which [`put_in_place`] gives its name.
pub(super) fn create(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, temporary(name), flags, Mode::from_raw_mode(0o600))
}

/// Makes what was written durable, and then the name.
pub(super) fn put_in_place(directory: &OwnedFd, name: &str, file: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fsync(file)?;
    // What it replaces stays open until the new name is durable: its clusters are free only then.
    let replaced = dir::if_there(rustix::fs::openat(
        directory,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    ))?;
    let replaced = replaced.filter(|_| !sabotage::is_on("no-holding") && !sabotage::is_on("rename-over"));
    rustix::fs::renameat(directory, temporary(name), directory, name)?;
    // Size and first cluster are in the directory's entry, and only this writes them there.
    if !sabotage::is_on("no-sync-of-the-file") {
        rustix::fs::fsync(file)?;
    }
    rustix::fs::fsync(directory.as_fd())?;
    drop(replaced);
    Ok(())
}

fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}
