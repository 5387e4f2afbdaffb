//! What is to be projected: the deployments that `/boot` boots.

use ostree_formats::bls::BlsEntry;
use ostree_formats::deployment::{Checksum, DeploymentPath};
use ostree_formats::projected_entry::Token;

/// All that a projection is made from.
#[derive(Debug, Clone)]
pub struct List {
    /// Whose entries.
    pub token: Token,
    /// The deployments, the default first.
    pub deployments: Vec<Listed>,
    /// Deployments that are in the list, too, and whose files in `/boot` cannot be read now: their entries and payloads stay as they are.
    pub unreadable: Vec<DeploymentPath>,
    /// The payload of a deployment that waits for shutdown, which `--prepare` may have copied.
    pub staged: Option<String>,
    /// How often a new default is tried; 0: it is not counted.
    pub tries: u32,
    /// What an entry that counts has as further arguments.
    pub trial_arguments: String,
    /// This is for a further ESP: no entry there has a counter, not even one that is there already.
    pub is_further: bool,
}

/// A deployment of the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it is.
    pub deployment: DeploymentPath,
    /// Its entry.
    pub entry: BlsEntry,
    /// The files that it needs.
    pub payloads: Vec<Payload>,
    /// Whether the system in it can say that it has come up: else a counter would take a good update away.
    pub can_bless: bool,
    /// Whether it runs now.
    pub is_booted: bool,
}

/// What a boot loader loads, with the name that it has in `/boot` and on the target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payload {
    /// A directory with a kernel, an initramfs and what belongs to them. `SHA256SUMS` in it says that it is complete.
    Directory {
        /// Relative to `/boot`, and to the target: `ostree/STATEROOT-BOOTCSUM`.
        path: String,
        /// Its files, by their paths in it.
        files: Vec<PayloadFile>,
    },
    /// An overlay initrd, whose name says what is in it.
    File(PayloadFile),
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PayloadFile {
    /// Its path.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Where it is copied from.
    pub from: CopiedFrom,
}

/// Where a file of a payload is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopiedFrom {
    /// At the payload's path in `/boot`.
    Boot,
    /// In the tree of a deployment: a unified kernel image, of which libostree has no copy in `/boot`, or a kernel before it has one.
    Tree {
        /// Its path on the physical root.
        path: String,
        /// What its name on the target promises; `None`: nothing.
        sum: Option<Checksum>,
    },
}

impl Payload {
    /// The path relative to `/boot`, and to the target.
    pub fn path(&self) -> &str {
        match self {
            Self::Directory { path, .. } => path,
            Self::File(file) => &file.path,
        }
    }

    /// The files of another one with this path, too. What has the same name is the same.
    fn add(&mut self, other: &Self) {
        if let (Self::Directory { files, .. }, Self::Directory { files: others, .. }) = (self, other)
            && files != others
        {
            files.extend(others.iter().cloned());
            files.sort();
            files.dedup_by(|one, other| one.path == other.path);
        }
    }
}

/// Payloads, each once: what is wanted of one directory by several deployments is wanted together.
pub fn union<'a>(payloads: impl IntoIterator<Item = &'a Payload>) -> Vec<Payload> {
    let mut all = Vec::<Payload>::new();
    for payload in payloads {
        match all.iter_mut().find(|known| known.path() == payload.path()) {
            Some(known) => known.add(payload),
            None => all.push(payload.clone()),
        }
    }
    all
}

/// Which kernel is projected of a tree that has a unified kernel image beside a kernel and an initramfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uki {
    /// The image.
    Prefer,
    /// Kernel and initramfs, as in `/boot`.
    Ignore,
}
