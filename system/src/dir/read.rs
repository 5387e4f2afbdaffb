//! The content of small files.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::lookup::open;
use super::stat::stat_fd;
use crate::kind::Kind;

/// Reads a regular file inside `root`, of at most `limit` bytes. [`read_no_link`] is the same, but `ELOOP` for a link.
///
/// # Errors
/// As [`super::open`]; `EISDIR` for a directory, `EINVAL` for what is neither that nor a file (a fifo would wait for ever), `EFBIG`
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
    // Files of procfs have size 0. Otherwise one byte more than the size is requested, so that a short read is the end of the
    // file.
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

/// The piece by which files without a size are read.
const PAGE: usize = 4096;
