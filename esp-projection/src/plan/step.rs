//! One action on the target.

use std::fmt;

use crate::list::Payload;
use crate::target::ENTRIES;

/// A step. Paths are relative to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a directory, durably.
    MakeDirectory(String),
    /// Copies from `/boot`, durably, until it is complete.
    WritePayload(Payload),
    /// Writes an entry under a name that is not there, durably.
    WriteEntry {
        /// Its name.
        name: String,
        /// Its text.
        text: String,
    },
    /// Makes everything durable.
    Sync,
    /// Removes an entry.
    RemoveEntry(String),
    /// Removes a payload.
    RemovePayload(String),
    /// Removes files of a payload that stays.
    RemoveFiles {
        /// The payload.
        directory: String,
        /// Their paths in it.
        files: Vec<String>,
    },
    /// Removes what was being written.
    RemoveTemporary(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory(path) => write!(f, "make the directory {path}"),
            Self::WritePayload(Payload::Directory { path, files }) => {
                let bytes: u64 = files.iter().map(|file| file.size).sum();
                write!(f, "copy {path}: {} files, {bytes} bytes", files.len())
            }
            Self::WritePayload(Payload::File(file)) => write!(f, "copy {}: {} bytes", file.path, file.size),
            Self::WriteEntry { name, .. } => write!(f, "write {ENTRIES}/{name}"),
            Self::Sync => f.write_str("sync"),
            Self::RemoveEntry(name) => write!(f, "remove {ENTRIES}/{name}"),
            Self::RemoveFiles { directory, files } => write!(f, "remove in {directory}: {}", files.join(", ")),
            Self::RemovePayload(path) | Self::RemoveTemporary(path) => write!(f, "remove {path}"),
        }
    }
}
