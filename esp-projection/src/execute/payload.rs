//! Kernels with their files: copied until they are complete, and then said to be.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::deployment::hexadecimal;
use rustix::fs::OFlags;
use rustix::io::{Errno, retry_on_intr};
use sha2::{Digest, Sha256};
use system::dir::Kind;
use system::{Context, SystemError, dir};

use super::directory::{make_directory, open_directory, open_with_room, shown};
use super::file;
use crate::list::{Payload, PayloadFile};
use crate::target::SUMS;

const PIECE: usize = 256 << 10;

pub(super) fn write(
    payload: &Payload,
    boot: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    match payload {
        Payload::File(PayloadFile { path, .. }) => {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let source = open_source(boot, path)?;
            put(&source, &open_with_room(target, parent)?, name).context("write", shown(path)).map(drop)
        }
        Payload::Directory { path, files } => directory(path, files, boot, target, progress),
    }
}

fn directory(
    path: &str,
    files: &[PayloadFile],
    boot: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    make_directory(target, path)?;
    let parents: BTreeSet<&str> = files.iter().flat_map(|file| parents(&file.path)).collect();
    for parent in parents {
        make_directory(target, &format!("{path}/{parent}"))?;
    }
    let mut sums = String::new();
    for PayloadFile { path: name, .. } in files {
        let (parent, last) =
            name.rsplit_once('/').map_or((String::new(), name.as_str()), |(parent, last)| (format!("/{parent}"), last));
        let full = format!("{path}/{name}");
        let source = open_source(boot, &full)?;
        let directory = open_directory(target, &format!("{path}{parent}"))?;
        let sum = put(&source, &directory, last).context("write", shown(&full))?;
        sums.push_str(&format!("{}  {name}\n", hexadecimal(&sum)));
        progress();
    }
    let directory = open_directory(target, path)?;
    file::write(&directory, SUMS, sums.as_bytes()).context("write", shown(&format!("{path}/{SUMS}")))
}

/// The directories that a file is in, the outermost first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at))
}

fn open_source(boot: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, SystemError> {
    let open = || {
        let file = dir::open(boot, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        if dir::stat_fd(&file)?.kind == Kind::File { Ok(file) } else { Err(Errno::INVAL) }
    };
    open().context("open", format_args!("/boot/{path}"))
}

/// Copies a file, unless it is there already; returns its SHA-256. One that is there and cannot be read is replaced.
fn put(source: &OwnedFd, directory: &OwnedFd, name: &str) -> Result<[u8; 32], Errno> {
    let there = dir::if_there(dir::open(directory, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK));
    if let Ok(Some(there)) = &there
        && dir::stat_fd(there)?.size == dir::stat_fd(source)?.size
    {
        let sum = copy(source, None)?;
        if copy(there, None)? == sum {
            return Ok(sum);
        }
        rustix::fs::seek(source, rustix::fs::SeekFrom::Start(0))?;
    }
    let new = file::create(directory, name)?;
    let sum = copy(source, Some(&new))?;
    file::put_in_place(directory, name, &new)?;
    Ok(sum)
}

/// Reads a file to its end; writes it if that is wanted.
fn copy(source: &OwnedFd, to: Option<&OwnedFd>) -> Result<[u8; 32], Errno> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let count = retry_on_intr(|| rustix::io::read(source.as_fd(), &mut buffer))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(hash.finalize().into());
        }
        hash.update(bytes);
        if let Some(to) = to {
            dir::write_all(to, bytes)?;
        }
    }
}
