//! Directories and files that are made, replaced and removed.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::lookup::open;
use super::stat::{Stat, stat_fd};
use crate::kind::Kind;

/// Makes the directory `path` below `fd`. Only this program makes its parents. It is not an error if it exists.
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

/// Gives the file `name` in `fd` this content, by a rename, so that a reader sees the old or the new content, never a part of it.
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
        // The first error is returned, not one of the clean-up.
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
            // The first error is returned, not one of the clean-up.
            let _ = rustix::fs::unlinkat(&fd, &temporary, AtFlags::empty());
        })?;
    rustix::fs::fsync(&fd)
}

/// Removes the file `name` from `fd`. It is not an error if it does not exist.
///
/// # Errors
/// As `unlink(2)`.
pub fn remove_file(fd: impl AsFd, name: &str) -> Result<(), Errno> {
    match rustix::fs::unlinkat(fd, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Makes a directory with a unique name: `prefix` and six random letters or digits. Returns the name.
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
