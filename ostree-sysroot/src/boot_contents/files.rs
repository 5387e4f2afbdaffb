//! The files that must be put into `/boot`: values.

use ostree_formats::deployment::{Checksum, DeploymentPath};
use serde::Serialize;

use crate::boot_names::{self, overlay_file};
use crate::kernel_layout::layout::{BootFile, KernelLayout};

/// What must be installed in one directory in `/boot/ostree`.
#[derive(Debug, Clone, Serialize)]
pub struct Install {
    /// Its name.
    pub directory: String,
    /// The deployment that the files belong to.
    pub deployment: DeploymentPath,
    /// Where the files are in the deployment.
    #[serde(skip)]
    pub layout: KernelLayout,
    /// The files that are missing or differ.
    pub files: Vec<BootFile>,
    /// How they are installed.
    pub method: InstallMethod,
    /// Bytes needed in a `/boot` that is a filesystem of its own.
    pub bytes: u64,
}

/// How files get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallMethod {
    /// All of them, in a directory that is renamed to its final name when it is complete.
    NewDirectory,
    /// `--prepare` has made that directory; it only has to be renamed.
    Prepared,
    /// One by one, each replaced by a rename, in the existing directory.
    Repair,
}

/// An overlay initrd that is not in `/boot` yet.
#[derive(Debug, Clone, Serialize)]
pub struct Overlay {
    /// Its name in `/run/ostree/staged-initrds`.
    pub checksum: Checksum,
    /// Bytes needed in `/boot`.
    pub bytes: u64,
}

/// All files that must be put into `/boot`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BootFiles {
    /// Directories.
    pub installs: Vec<Install>,
    /// Overlay initrds.
    pub overlays: Vec<Overlay>,
    /// They were already installed, before the transaction.
    #[serde(skip)]
    pub are_installed: bool,
    /// Warnings of the survey.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl BootFiles {
    /// Bytes needed in a `/boot` that is a filesystem of its own.
    pub fn bytes(&self) -> u64 {
        let installs = self.installs.iter().map(|install| install.bytes);
        installs.chain(self.overlays.iter().map(|overlay| overlay.bytes)).sum()
    }

    /// The new paths in `/boot`; for a prepared directory, both of its names.
    pub fn new_paths(&self) -> Vec<String> {
        let new = self.installs.iter().filter(|install| install.method != InstallMethod::Repair);
        let names = |install: &Install| match install.method {
            InstallMethod::Prepared => vec![install.directory.clone(), boot_names::prepared(&install.directory)],
            InstallMethod::NewDirectory | InstallMethod::Repair => vec![install.directory.clone()],
        };
        let overlays = self.overlays.iter().map(|overlay| overlay_file(&overlay.checksum));
        new.flat_map(names).chain(overlays).map(|name| format!("ostree/{name}")).collect()
    }
}
