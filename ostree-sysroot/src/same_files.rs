//! Compares a file in `/boot` with the file of a tree: by content, or by size.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::tree::{self, TreeWalk};

use crate::kernel_layout::BootFile;

/// Whether both files exist and have the same size; a directory only has to exist.
pub(crate) fn same_size(source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<bool, Errno> {
    let there = match dir::stat_name(there, &file.target)? {
        Some(stat) => stat,
        None => return Ok(false),
    };
    let source = dir::stat_fd(dir::open(source, &file.source, OFlags::PATH)?)?;
    Ok(source.kind == there.kind && (file.is_directory || source.size == there.size))
}

/// Whether both files have the same content.
///
/// # Errors
/// One of them cannot be read.
pub fn same(source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<bool, Errno> {
    let one = dir::open(source, &file.source, FOR_READING)?;
    let other = match dir::open(there, &file.target, FOR_READING | OFlags::NOFOLLOW) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(false),
        other => other?,
    };
    match dir::stat_fd(&one)?.kind {
        Kind::Directory if dir::stat_fd(&other)?.kind == Kind::Directory => same_trees(&one, &other),
        _ => same_files(&one, &other),
    }
}

const FOR_READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Whether `other` is an installed copy of `one`, which has the links as links, but no devices, fifos and sockets.
fn same_trees(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (mut wanted, mut found) = (TreeWalk::new(one)?, TreeWalk::new(other)?);
    loop {
        let mut entry = wanted.next_entry()?;
        while entry.as_ref().is_some_and(|entry| entry.kind == Kind::Other) {
            entry = wanted.next_entry()?;
        }
        if entry != found.next_entry()? {
            return Ok(false);
        }
        let Some(entry) = entry else { return Ok(true) };
        let path = OsStr::from_bytes(&entry.path);
        let same = match entry.kind {
            Kind::Link => {
                rustix::fs::readlinkat(one, path, Vec::new())? == rustix::fs::readlinkat(other, path, Vec::new())?
            }
            Kind::File => {
                let open = |root: &OwnedFd| dir::open_plainly(root, path, FOR_READING);
                same_files(&open(one)?, &open(other)?)?
            }
            Kind::Directory | Kind::Other => true,
        };
        if !same {
            return Ok(false);
        }
    }
}

fn same_files(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (stat, other_stat) = (dir::stat_fd(one)?, dir::stat_fd(other)?);
    if (stat.kind, other_stat.kind) != (Kind::File, Kind::File) {
        return Ok(false);
    }
    if (stat.device, stat.inode) == (other_stat.device, other_stat.inode) {
        return Ok(true);
    }
    Ok(stat.size == other_stat.size && same_content(one, other)?)
}

fn same_content(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    const PIECE: usize = 256 << 10;
    let (mut left, mut right) = (vec![0u8; PIECE], vec![0u8; PIECE]);
    loop {
        let count = tree::fill(one, &mut left)?;
        if count != tree::fill(other, &mut right)? || left.get(..count) != right.get(..count) {
            return Ok(false);
        }
        if count < PIECE {
            return Ok(true);
        }
    }
}
