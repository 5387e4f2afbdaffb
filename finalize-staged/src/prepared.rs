//! A directory of kernel and initramfs that was put into `/boot` before shutdown.
//!
//! Its name, `STATEROOT-BOOTCSUM.prepared`, is none that libostree takes for one of its own: that trusts every file in a
//! directory whose name ends in `-BOOTCSUM`, whole or not. What is under this name is whole and durable. Whether anything has changed
//! since says a record in `/run`, for these and for all directories that were compared: without it, contents are compared.

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
pub(crate) const RECORD: &str = "finalize-staged-compared.json";
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

/// Files in `/boot` that were found to be those of a tree since the machine was booted, as they were then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Records(Vec<Record>);

/// Of one directory in `/boot/ostree`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
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

impl Records {
    /// Those that there are. Without one, contents are compared.
    pub(crate) fn read(run: &RunOstree) -> Self {
        let bytes = dir::read(run.directory(), RECORD, LIMIT).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Whether `file` is recorded as the same in both, and neither has changed since.
    pub(crate) fn has(&self, directory: &str, source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> bool {
        let record = self.0.iter().find(|record| record.directory == directory);
        record.is_some_and(|record| recorded(source, there, file).is_ok_and(|now| record.files.contains(&now)))
    }

    /// Records a directory whose files are now the same as those of the tree.
    pub(crate) fn add(
        &mut self,
        run: &RunOstree,
        directory: &str,
        source: &OwnedFd,
        there: &OwnedFd,
        files: &[BootFile],
    ) -> Result<(), SystemError> {
        // Of a directory the record says nothing: its files are compared.
        let files = files.iter().filter(|file| !file.is_directory).map(|file| recorded(source, there, file));
        let files =
            files.collect::<Result<Vec<_>, _>>().context("look at", format_args!("/boot/ostree/{directory}"))?;
        self.0.retain(|record| record.directory != directory);
        self.0.push(Record { directory: directory.to_owned(), files });
        let text = serde_json::to_vec(self).unwrap_or_default();
        dir::replace_volatile_file(run.directory(), RECORD, &text, 0o600)
            .context("write", format_args!("{RUN_OSTREE}/{RECORD}"))
    }
}

/// Whether no file has changed since `time` (`st_ctime` is before it); of a directory that is not said.
pub(crate) fn are_unchanged_since<'a>(
    time: (i64, i64),
    directory: &OwnedFd,
    mut files: impl Iterator<Item = (&'a str, bool)>,
) -> bool {
    files.all(|(name, is_directory)| {
        let version = version(directory, name, AtFlags::empty());
        !is_directory && version.is_ok_and(|(_, seconds, nanoseconds, _)| (seconds, nanoseconds) < time)
    })
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
    records: &Records,
) -> bool {
    let name = name(directory);
    let path = format!("ostree/{name}");
    let Ok(there) = dir::open(&roots.boot, &path, OFlags::RDONLY | OFlags::DIRECTORY) else { return false };
    let Ok(names) = dir::names(&there, ".") else { return false };
    let mut wanted: Vec<&str> = files.iter().map(|file| file.target.as_str()).collect();
    wanted.sort_unstable();
    names == wanted
        && files.iter().all(|file| {
            records.has(&name, source, &there, file) || boot_files::same(source, &there, file).unwrap_or(false)
        })
}
