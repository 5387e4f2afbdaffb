//! Kernels with their files: copied until they are complete, and then said to be.

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, OwnedFd};

use ostree_formats::deployment::Checksum;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, dir};

use super::directory::{make_directory, open_directory, open_with_room, shown};
use super::file;
use super::sums;
use crate::list::{CopiedFrom, Payload, PayloadFile};
use crate::read::digest;

/// Where payloads are copied from.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// `/boot`.
    pub boot: BorrowedFd<'a>,
    /// The physical root.
    pub sysroot: BorrowedFd<'a>,
}

pub(super) fn write(
    payload: &Payload,
    sources: Sources<'_>,
    target: BorrowedFd<'_>,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    match payload {
        Payload::File(file) => {
            let path = file.path.as_str();
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            put(&Source::open(sources, file, path)?, &open_with_room(target, parent)?, name, path).map(drop)
        }
        Payload::Directory { path, files } => directory(path, files, sources, target, progress),
    }
}

fn directory(
    path: &str,
    files: &[PayloadFile],
    sources: Sources<'_>,
    target: BorrowedFd<'_>,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    make_directory(target, path)?;
    let parents: BTreeSet<&str> = files.iter().flat_map(|file| parents(&file.path)).collect();
    for parent in parents {
        make_directory(target, &format!("{path}/{parent}"))?;
    }
    // What else is complete there stays so: an entry may boot it until it is removed.
    let mut sums = sums::read(target, path)?;
    let written: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    sums.0.retain(|(name, _)| !written.contains(name.as_str()));
    for file in files {
        let name = file.path.as_str();
        let (parent, last) =
            name.rsplit_once('/').map_or((String::new(), name), |(parent, last)| (format!("/{parent}"), last));
        let full = format!("{path}/{name}");
        let directory = open_directory(target, &format!("{path}{parent}"))?;
        let sum = put(&Source::open(sources, file, &full)?, &directory, last, &full)?;
        sums.add(name, sum);
        progress();
    }
    sums::write(target, path, &sums)
}

/// The directories that a file is in, the outermost first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

/// A file that is copied.
struct Source<'a> {
    file: OwnedFd,
    /// The checksum that it must have; `None`: any.
    promised: Option<&'a Checksum>,
    shown: String,
}

impl<'a> Source<'a> {
    /// `path` is that of the copy.
    fn open(sources: Sources<'_>, file: &'a PayloadFile, path: &str) -> Result<Self, SystemError> {
        let (root, path, promised, shown) = match &file.from {
            CopiedFrom::Boot => (sources.boot, path, None, format!("/boot/{path}")),
            CopiedFrom::Tree { path, sum } => (sources.sysroot, path.as_str(), sum.as_ref(), format!("/{path}")),
        };
        let open = || {
            let file = dir::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
            if dir::stat_fd(&file)?.kind == Kind::File { Ok(file) } else { Err(Errno::INVAL) }
        };
        Ok(Self { file: open().context("open", shown.as_str())?, promised, shown })
    }

    /// Fails if it is not what it was when its checksum was taken.
    fn check(&self, sum: &Checksum) -> Result<(), SystemError> {
        match self.promised {
            Some(promised) if promised != sum => {
                Err(Errno::STALE).context("copy", format_args!("{}, which has changed meanwhile", self.shown))
            }
            _ => Ok(()),
        }
    }
}

/// Copies a file, unless it is there already; returns its SHA-256. One that is there and cannot be read is replaced.
fn put(source: &Source<'_>, directory: &OwnedFd, name: &str, path: &str) -> Result<Checksum, SystemError> {
    let there = dir::if_there(dir::open(directory, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK));
    let sum_of = |file: &OwnedFd| digest::of(file, &mut |_| Ok(()));
    if let Ok(Some(there)) = &there {
        let is_same = || -> Result<Option<Checksum>, Errno> {
            if dir::stat_fd(there)?.size != dir::stat_fd(&source.file)?.size {
                return Ok(None);
            }
            let sum = sum_of(&source.file)?;
            let is_same = sum_of(there)? == sum;
            rustix::fs::seek(&source.file, rustix::fs::SeekFrom::Start(0))?;
            Ok(is_same.then_some(sum))
        };
        if let Some(sum) = is_same().context("write", shown(path))? {
            return source.check(&sum).map(|()| sum);
        }
    }
    let new = file::create(directory, name).context("write", shown(path))?;
    let sum = digest::of(&source.file, &mut |bytes| dir::write_all(&new, bytes)).context("write", shown(path))?;
    source.check(&sum)?;
    file::put_in_place(directory, name, &new).context("write", shown(path)).map(|()| sum)
}
