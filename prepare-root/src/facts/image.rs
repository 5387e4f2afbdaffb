//! A composefs image, its seal and its signature.

use serde::Serialize;

use super::path_kind::PathKind;

/// The image in a deployment directory, as libostree names it.
pub(crate) const IMAGE: &str = ".ostree.cfs";

/// How a file is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Seal {
    /// fs-verity, with this digest.
    Sha256([u8; 32]),
    /// fs-verity with another hash algorithm.
    Other(u16),
    /// It is not sealed.
    #[default]
    Missing,
    /// It cannot be sealed: the kernel or the filesystem has no fs-verity.
    Unsupported(Lack),
}

/// What has no fs-verity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Lack {
    /// The kernel was built without it.
    Kernel,
    /// The kernel has it, the filesystem does not.
    Filesystem,
    /// One of them.
    Unknown,
}

impl Lack {
    /// As the beginning of a sentence.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Lack::Kernel => "this kernel has no fs-verity",
            Lack::Filesystem => "the filesystem has no fs-verity (ext4: enable it with `tune2fs -O verity DEVICE`)",
            Lack::Unknown => {
                "this kernel or the filesystem has no fs-verity (ext4: enable it with `tune2fs -O verity DEVICE`)"
            }
        }
    }
}

/// The deployment's composefs image; only looked up if composefs is not off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) struct ImageFacts {
    pub(crate) found: PathKind,
    /// Only read where fs-verity is demanded.
    pub(crate) seal: Seal,
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SignatureFacts {
    /// The keys were read from this file.
    pub(crate) key_file: String,
    /// The digest of the image that the signed commit names.
    pub(crate) digest: [u8; 32],
}
