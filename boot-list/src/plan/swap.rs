//! What is swapped to activate a new list: values.

use ostree_formats::bootlink::BootVersion;
use serde::Serialize;

/// Which link is swapped, after everything that it leads to is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Swap {
    /// `boot/loader`: entries and boot links of the other bootversion.
    Loader,
    /// `ostree/boot.N`: boot links of the other subbootversion. Nothing that a boot loader reads changes.
    Bootlinks,
}

/// Where a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkDirectory {
    /// `/boot`.
    Boot,
    /// `/ostree` of the physical root.
    Ostree,
}

/// A link that is exchanged with one that is prepared beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapLink {
    /// Where it is.
    pub directory: LinkDirectory,
    /// Its name there.
    pub name: String,
    /// What it will lead to.
    pub target: String,
}

impl SwapLink {
    /// `boot/loader`.
    pub(crate) fn loader(bootversion: BootVersion) -> Self {
        Self { directory: LinkDirectory::Boot, name: "loader".to_owned(), target: loader_directory(bootversion) }
    }

    /// `ostree/boot.N`.
    pub(crate) fn bootlinks(bootversion: BootVersion, subbootversion: BootVersion) -> Self {
        Self {
            directory: LinkDirectory::Ostree,
            name: format!("boot.{bootversion}"),
            target: links_directory(bootversion, subbootversion),
        }
    }

    /// The name of the prepared link. It is libostree's, so libostree removes a leftover one.
    pub fn temporary(&self) -> String {
        format!("{}.tmp", self.name)
    }

    /// A name in the directory of the link, as an absolute path.
    pub fn shown(&self, name: &str) -> String {
        match self.directory {
            LinkDirectory::Boot => format!("/boot/{name}"),
            LinkDirectory::Ostree => format!("/ostree/{name}"),
        }
    }
}

/// The name of a directory of entries in `/boot`.
pub(crate) fn loader_directory(bootversion: BootVersion) -> String {
    format!("loader.{bootversion}")
}

/// The name of a directory of boot links in `/ostree`.
pub(crate) fn links_directory(bootversion: BootVersion, subbootversion: BootVersion) -> String {
    format!("boot.{bootversion}.{subbootversion}")
}
