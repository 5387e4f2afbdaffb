//! A directory of kernel and initramfs that was put into `/boot` before shutdown.
//!
//! Its name, `STATEROOT-BOOTCSUM.prepared`, is none that libostree takes for one of its own: that trusts every file in a
//! directory whose name ends in `-BOOTCSUM`, whole or not. What is under this name is whole and durable, and is told from what
//! somebody changed since by a record in `/run`: without that, contents are compared.

use std::os::fd::OwnedFd;

use ostree_formats::bootlink::Bootcsum;
use ostree_sysroot::kernel_layout::BootFile;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use system::{Context, SystemError, dir};

use crate::boot_files;
use crate::roots::Roots;
use crate::staged::{RUN_OSTREE, RunOstree};

/// In `/run/ostree`.
pub(crate) const RECORD: &str = "finalize-staged-prepared.json";
const LIMIT: u64 = 1 << 20;

/// The name of the directory in `boot/ostree` for what will be `directory`.
pub(crate) fn name(directory: &str) -> String {
    format!("{directory}.prepared")
}

/// Whether a name in `boot/ostree` is that of such a directory, or of one that is being made to be one.
pub(crate) fn is_one(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    name.strip_suffix(".prepared").is_some_and(is_kernel_directory)
}

/// `STATEROOT-BOOTCSUM`: the name of a kernel's directory in `boot/ostree`.
pub(crate) fn is_kernel_directory(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(_, sum)| sum.parse::<Bootcsum>().is_ok())
}

/// What was compared when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Prepared {
    directory: String,
    files: Vec<Recorded>,
}

/// Inode, time of the last change in seconds and nanoseconds, size. Which filesystem it is on is known.
type Version = (u64, i64, i64, u64);

/// A file in the tree and in `/boot`, as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    target: String,
    source: Version,
    installed: Version,
}

impl Prepared {
    /// Records a directory whose files are now the same as those of the tree.
    pub(crate) fn record(
        run: &RunOstree,
        source: &OwnedFd,
        there: &OwnedFd,
        directory: &str,
        files: &[BootFile],
    ) -> Result<(), SystemError> {
        // Of a directory the record says nothing: its files are compared.
        let recorded = files.iter().filter(|file| !file.is_directory).map(|file| recorded(source, there, file));
        let files =
            recorded.collect::<Result<Vec<_>, _>>().context("look at", format_args!("/boot/ostree/{directory}"))?;
        let text = serde_json::to_vec(&Self { directory: directory.to_owned(), files }).unwrap_or_default();
        dir::replace_volatile_file(run.directory(), RECORD, &text, 0o600)
            .context("write", format_args!("{RUN_OSTREE}/{RECORD}"))
    }

    /// The record, if there is one.
    pub(crate) fn read(run: &RunOstree) -> Option<Self> {
        serde_json::from_slice(&dir::read(run.directory(), RECORD, LIMIT).ok()?).ok()
    }
}

fn recorded(source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<Recorded, Errno> {
    Ok(Recorded {
        target: file.target.clone(),
        source: version(source, &file.source, AtFlags::empty())?,
        installed: version(there, &file.target, AtFlags::SYMLINK_NOFOLLOW)?,
    })
}

fn version(directory: &OwnedFd, name: &str, flags: AtFlags) -> Result<Version, Errno> {
    let stat = rustix::fs::statat(directory, name, flags)?;
    Ok((stat.st_ino, stat.st_ctime, stat.st_ctime_nsec as i64, stat.st_size.unsigned_abs()))
}

/// Whether what was prepared for `directory` is there, has exactly `files`, and they are those of `source`.
pub(crate) fn is_whole(
    roots: &Roots,
    source: &OwnedFd,
    directory: &str,
    files: &[BootFile],
    record: Option<&Prepared>,
) -> bool {
    let path = format!("ostree/{}", name(directory));
    let Ok(there) = dir::open(&roots.boot, &path, OFlags::RDONLY | OFlags::DIRECTORY) else { return false };
    let Ok(names) = dir::names(&there, ".") else { return false };
    let mut wanted: Vec<&str> = files.iter().map(|file| file.target.as_str()).collect();
    wanted.sort_unstable();
    let record = record.filter(|record| record.directory == directory);
    names == wanted
        && files.iter().all(|file| {
            let as_recorded = record
                .is_some_and(|record| recorded(source, &there, file).is_ok_and(|now| record.files.contains(&now)));
            as_recorded || boot_files::same(source, &there, file).unwrap_or(false)
        })
}
