//! Kernel, initramfs and device trees of a deployment: values.

use ostree_formats::deployment::Checksum;
use serde::Serialize;

/// A file, or a directory tree, that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootFile {
    /// Its name in the tree, in [`KernelLayout::directory`].
    pub source: String,
    /// Its name in `/boot/ostree/STATEROOT-BOOTCSUM`.
    pub target: String,
    /// Whether it is a directory with its content.
    pub is_directory: bool,
}

impl BootFile {
    pub(super) fn file(source: &str, target: String) -> Self {
        Self { source: source.to_owned(), target, is_directory: false }
    }
}

/// Kernel, initramfs and their files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelLayout {
    /// Where they are in the tree.
    pub directory: String,
    /// The kernel.
    pub kernel: BootFile,
    /// The initramfs, if there is one.
    pub initramfs: Option<BootFile>,
    /// One device tree, or a directory `dtb` of many.
    pub devicetree: Option<BootFile>,
    /// The checksum file that a FIPS kernel needs beside it.
    pub hmac: Option<BootFile>,
    /// The image of an Android boot loader.
    pub aboot: Option<BootFile>,
}

impl KernelLayout {
    /// All files that are installed.
    pub fn files(&self) -> impl Iterator<Item = &BootFile> {
        let optional = [&self.initramfs, &self.devicetree, &self.hmac, &self.aboot];
        std::iter::once(&self.kernel).chain(optional.into_iter().flatten())
    }

    /// The files that the bootcsum is computed from, in that order.
    pub fn hashed(&self) -> impl Iterator<Item = &BootFile> {
        std::iter::once(&self.kernel).chain([&self.initramfs, &self.devicetree].into_iter().flatten())
    }

    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.directory, self.kernel.source)
    }
}

/// The checksum at the end of a name in an older layout.
pub fn checksum_in(name: &str) -> Option<Checksum> {
    name.rsplit_once('-')?.1.parse().ok()
}
