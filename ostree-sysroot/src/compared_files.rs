//! Files in `/boot` whose content was compared with a tree, and whether they have changed since.
//!
//! The caller keeps the list in a place that a reboot empties. Files that are not in the list are compared.

use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::kernel_layout::BootFile;

/// Files in `/boot` that were compared with a tree since the boot, in their state at that moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparedFiles(Vec<ComparedDirectory>);

/// The compared files of one directory in `/boot/ostree`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ComparedDirectory {
    directory: String,
    files: Vec<ComparedFile>,
}

/// Inode, time of the last change in seconds and nanoseconds, size. The filesystem is always the same.
type Version = (u64, i64, i64, u64);

/// The state of a file in the tree and in `/boot` when they were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ComparedFile {
    target: String,
    source: Version,
    installed: Version,
}

impl ComparedFiles {
    /// Reads the output of [`ComparedFiles::to_json`]. A damaged list is empty: all contents are compared then.
    pub fn from_json(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// The list as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether `file` is recorded as the same in both, and neither has changed since.
    ///
    /// # Errors
    /// The attributes of a file cannot be read.
    pub fn has(&self, directory: &str, source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<bool, Errno> {
        let Some(known) = self.0.iter().find(|known| known.directory == directory) else { return Ok(false) };
        match compared(source, there, file) {
            // The file was removed since.
            Err(Errno::NOENT) => Ok(false),
            now => Ok(known.files.contains(&now?)),
        }
    }

    /// Records a directory whose files are now the same as those of the tree.
    ///
    /// # Errors
    /// The attributes of a file cannot be read.
    pub fn add(&mut self, directory: &str, source: &OwnedFd, there: &OwnedFd, files: &[BootFile]) -> Result<(), Errno> {
        // A directory is not recorded: its files are compared each time.
        let files = files.iter().filter(|file| !file.is_directory).map(|file| compared(source, there, file));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        self.0.retain(|known| known.directory != directory);
        self.0.push(ComparedDirectory { directory: directory.to_owned(), files });
        Ok(())
    }
}

/// Whether no file has changed since `time` (`st_ctime` is before it). Always `false` for a directory.
///
/// # Errors
/// The attributes of a file cannot be read.
pub fn are_unchanged_since<'a>(
    time: (i64, i64),
    directory: &OwnedFd,
    files: impl Iterator<Item = (&'a str, bool)>,
) -> Result<bool, Errno> {
    for (name, is_directory) in files {
        if is_directory {
            return Ok(false);
        }
        match version(directory, name, AtFlags::empty()) {
            Ok((_, seconds, nanoseconds, _)) if (seconds, nanoseconds) < time => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn compared(source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<ComparedFile, Errno> {
    Ok(ComparedFile {
        target: file.target.clone(),
        source: version(source, &file.source, AtFlags::empty())?,
        installed: version(there, &file.target, AtFlags::SYMLINK_NOFOLLOW)?,
    })
}

fn version(directory: &OwnedFd, name: &str, flags: AtFlags) -> Result<Version, Errno> {
    let stat = rustix::fs::statat(directory, name, flags)?;
    Ok((stat.st_ino, stat.st_ctime, stat.st_ctime_nsec as i64, stat.st_size.unsigned_abs()))
}
