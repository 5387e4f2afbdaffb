//! What is on the target, the FAT filesystem that boot loaders read, below the names that are ours.

mod sums;

use std::collections::{BTreeMap, BTreeSet};

use ostree_formats::projected_entry::ProjectedName;

pub(crate) use sums::Sums;

/// The file that makes a payload complete.
pub const SUMS: &str = "SHA256SUMS";
/// A larger one is none.
pub const SUMS_LIMIT: u64 = 1 << 20;
/// The begin of the name of a unified kernel image in the directory of the kernel that it is beside.
pub const IMAGE: &str = "uki-";
/// Behind the name of an image: the directory of its addons.
pub const EXTRA: &str = ".extra.d";
/// The end of the name of a file that is being written.
pub const TEMPORARY: &str = ".tmp";
/// What a directory that boot loaders look into has at least, in bytes: 128 slots, of which an entry takes five, and the directory of a
/// kernel seven.
pub const ROOM_FOR_NAMES: u64 = 4096;
/// The begin of the name of a file that takes room in a directory, for a moment.
pub const MAKES_ROOM: &str = "firstroot-makes-room-";
/// Where boot loaders look for entries.
pub const ENTRIES: &str = "loader/entries";
/// Where all payloads are.
pub const PAYLOADS: &str = "ostree";
/// Where overlay initrds are.
pub const OVERLAYS: &str = "ostree/initramfs-overlays";

/// The target as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that directories of ours will take, since they are smaller than [`ROOM_FOR_NAMES`].
    pub room_for_names: u64,
    /// Entries with our token, in the order of their names.
    pub entries: Vec<TargetEntry>,
    /// Payloads that entries of others name: other systems may share the ESP.
    pub named_by_others: BTreeSet<String>,
    /// Directories and overlay initrds with names that only OSTree systems write, by their path.
    pub payloads: BTreeMap<String, Found>,
    /// Files of ours that a run has left half-written, by their path, with their sizes.
    pub temporaries: BTreeMap<String, u64>,
    /// An entry of others cannot be read: what it names may be any payload.
    pub others_are_unread: bool,
    /// Directories of ours that are there.
    pub directories: BTreeSet<String>,
}

/// One of our entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetEntry {
    /// Its name.
    pub name: ProjectedName,
    /// `None`: it cannot be read, or is no text.
    pub text: Option<String>,
}

/// A payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A directory.
    Directory {
        /// Names that its `SHA256SUMS` has; `None`: there is none that can be read.
        sums: Option<BTreeSet<String>>,
        /// Its files with their sizes.
        files: BTreeMap<String, u64>,
    },
    /// A file with its size.
    File(u64),
}

impl Found {
    /// What its removal frees.
    pub fn bytes(&self, cluster: u64) -> u64 {
        match self {
            Self::Directory { files, .. } => {
                files.values().map(|size| in_clusters(*size, cluster)).sum::<u64>() + cluster
            }
            Self::File(size) => in_clusters(*size, cluster),
        }
    }
}

/// Bytes of a file, in whole clusters.
pub fn in_clusters(size: u64, cluster: u64) -> u64 {
    size.div_ceil(cluster.max(1)).saturating_mul(cluster)
}
