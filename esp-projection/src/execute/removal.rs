//! Removing names: clusters become free only after the directory that named them is durable.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, dir, tree};

use super::directory::{open_directory, shown};
use super::sabotage;
use crate::target::SUMS;

/// Removes a file.
pub(super) fn file(target: BorrowedFd<'_>, path: &str) -> Result<(), SystemError> {
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    let directory = open_directory(target, parent)?;
    let remove = || {
        let held = dir::if_there(dir::open(&directory, name, OFlags::PATH | OFlags::NOFOLLOW))?;
        let held = held.filter(|_| !sabotage::is_on("no-holding"));
        dir::remove_file(&directory, name)?;
        rustix::fs::fsync(&directory)?;
        drop(held);
        Ok(())
    };
    remove().context("remove", shown(path))
}

/// Removes a directory with its files, or an overlay initrd. What says that it is complete goes first.
pub(super) fn payload(target: BorrowedFd<'_>, path: &str) -> Result<(), SystemError> {
    let opened = match dir::open(target, path, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.context("read the attributes of", shown(path))?,
    };
    if opened.kind != Kind::Directory {
        return file(target, path);
    }
    file(target, &format!("{path}/{SUMS}"))?;
    let mut directories = vec![String::new()];
    let directory = open_directory(target, path)?;
    let mut walk = tree::TreeWalk::new(&directory).context("list", shown(path))?;
    let mut files = Vec::new();
    while let Some(entry) = walk.next_entry().context("list", shown(path))? {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        if entry.kind == Kind::Directory { directories.push(format!("/{name}")) } else { files.push(name) }
    }
    for name in files {
        file(target, &format!("{path}/{name}"))?;
    }
    directories.sort();
    for name in directories.iter().rev() {
        empty_directory(target, &format!("{path}{name}"))?;
    }
    Ok(())
}

/// Removes a directory as a file: it is open until the one that named it is durable.
fn empty_directory(target: BorrowedFd<'_>, path: &str) -> Result<(), SystemError> {
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    let parent = open_directory(target, parent)?;
    let held = open_directory(target, path)?;
    let remove = || {
        rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?;
        rustix::fs::fsync(&parent)
    };
    remove().context("remove", shown(path))?;
    drop(held);
    Ok(())
}
