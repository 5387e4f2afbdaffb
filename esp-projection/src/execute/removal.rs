//! Removing names: clusters become free only after the directory that named them is durable.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, dir, tree};

use super::directory::{open_directory, shown};
use super::{sabotage, sums};
use crate::target::{EXTRA, IMAGE, SUMS};

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

/// Removes files of a directory that stays, with the directories that were theirs alone. What says that they are complete goes last:
/// until then it is known that they are to go.
pub(super) fn files(target: BorrowedFd<'_>, path: &str, names: &[String]) -> Result<(), SystemError> {
    let mut directories = BTreeSet::new();
    for name in names {
        let (parent, full) =
            (name.rsplit_once('/').map(|(parent, _)| format!("{path}/{parent}")), format!("{path}/{name}"));
        if parent.as_ref().map_or(Ok(true), |parent| is_directory(target, parent))? {
            file(target, &full)?;
        }
        directories.extend(parent);
        directories.extend(name.starts_with(IMAGE).then(|| format!("{full}{EXTRA}")));
    }
    for directory in directories.iter().rev() {
        if !is_directory(target, directory)? {
            continue;
        }
        match empty_directory(target, directory) {
            Err(error) if error.reason != Errno::NOTEMPTY => return Err(error),
            _ => {}
        }
    }
    let gone: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut sums = sums::read(target, path)?;
    let before = sums.0.len();
    sums.0.retain(|(name, _)| !gone.contains(name.as_str()));
    if sums.0.len() == before { Ok(()) } else { sums::write(target, path, &sums) }
}

fn is_directory(target: BorrowedFd<'_>, path: &str) -> Result<bool, SystemError> {
    let opened = dir::if_there(dir::open(target, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW));
    Ok(opened.context("look up", shown(path))?.is_some())
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
