//! The payloads that entries of `/boot/loader` name.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::Checksum;
use ostree_sysroot::{Roots, boot_names};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use super::ReadError;
use crate::list::{CopiedFrom, Payload, PayloadFile};
use crate::target::{SUMS, TEMPORARY};

/// The payload that a file of `/boot` belongs to; `alone`: without the other files of its directory.
pub(super) fn payload(roots: &Roots, entry: &str, path: &str, alone: bool) -> Result<Payload, ReadError> {
    let elsewhere = || ReadError::Elsewhere { entry: entry.to_owned(), path: format!("/boot/{path}") };
    let no_file = || ReadError::NoFile { entry: entry.to_owned(), path: path.to_owned() };
    let (_, name) = path.split_once("ostree/").filter(|(before, _)| before.is_empty()).ok_or_else(elsewhere)?;
    let (directory, file) = name.split_once('/').ok_or_else(elsewhere)?;
    if file.is_empty()
        || [directory, file].iter().any(|part| part.split('/').any(|name| matches!(name, "" | "." | "..")))
    {
        return Err(elsewhere());
    }
    if boot_names::is_kernel_directory(directory) {
        let directory = format!("ostree/{directory}");
        let mut files = files(roots, &directory)?;
        let below = format!("{file}/");
        let is_named = |found: &PayloadFile| found.path == file || found.path.starts_with(&below);
        if !files.iter().any(is_named) {
            return Err(no_file());
        }
        files.retain(|found| !alone || is_named(found));
        return Ok(Payload::Directory { path: directory, files });
    }
    let is_overlay = directory == "initramfs-overlays"
        && file.strip_suffix(".img").is_some_and(|sum| sum.parse::<Checksum>().is_ok());
    if !is_overlay {
        return Err(elsewhere());
    }
    match dir::open(&roots.boot, path, OFlags::PATH).and_then(dir::stat_fd) {
        Ok(stat) if stat.kind == Kind::File => {
            Ok(Payload::File(PayloadFile { path: path.to_owned(), size: stat.size, from: CopiedFrom::Boot }))
        }
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(no_file()),
        Err(error) => Err(error).context("read the attributes of", format_args!("/boot/{path}"))?,
    }
}

/// All files of a kernel's directory, sorted by their paths.
fn files(roots: &Roots, directory: &str) -> Result<Vec<PayloadFile>, ReadError> {
    let shown = format!("/boot/{directory}");
    let opened = dir::if_there(dir::open(&roots.boot, directory, OFlags::RDONLY | OFlags::DIRECTORY));
    match opened.context("open", shown.as_str())? {
        Some(opened) => Ok(files_below(&opened, &shown)?),
        None => Ok(Vec::new()),
    }
}

pub(super) fn files_below(opened: &OwnedFd, shown: &str) -> Result<Vec<PayloadFile>, SystemError> {
    let mut walk = tree::TreeWalk::new(opened).context("list", shown)?;
    let mut files = Vec::new();
    while let Some(entry) = walk.next_entry().context("list", shown)? {
        let Ok(path) = String::from_utf8(entry.path) else { continue };
        if path.ends_with(TEMPORARY) || path == SUMS {
            continue;
        }
        // A link is what it leads to: a FAT has none.
        let found = dir::open(opened.as_fd(), &path, OFlags::PATH).and_then(dir::stat_fd);
        match dir::if_there(found).context("read the attributes of", format_args!("{shown}/{path}"))? {
            Some(stat) if stat.kind == Kind::File => {
                files.push(PayloadFile { path, size: stat.size, from: CopiedFrom::Boot });
            }
            _ => {}
        }
    }
    files.sort();
    Ok(files)
}
