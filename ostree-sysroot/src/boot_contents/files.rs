//! What has to be put into `/boot`: values.

use ostree_formats::deployment::{Checksum, DeploymentPath};
use serde::Serialize;

use crate::boot_names::{self, overlay_file};
use crate::kernel_layout::layout::{BootFile, KernelLayout};

/// What has to be done for one directory in `/boot/ostree`.
#[derive(Debug, Clone, Serialize)]
pub struct Install {
    /// Its name.
    pub directory: String,
    /// Whose files they are.
    pub deployment: DeploymentPath,
    /// Where they are in it.
    #[serde(skip)]
    pub layout: KernelLayout,
    /// Those that are not there, or not whole.
    pub files: Vec<BootFile>,
    /// How.
    pub method: InstallMethod,
    /// What that takes of a `/boot` of its own.
    pub bytes: u64,
}

/// How files get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallMethod {
    /// All of them, in a directory that is renamed into place when it is whole.
    NewDirectory,
    /// That directory has been made beforehand, and only has to be renamed.
    Prepared,
    /// One by one, each replaced by a rename, in the directory that is there.
    Repair,
}

/// An overlay initrd that is not in `/boot` yet.
#[derive(Debug, Clone, Serialize)]
pub struct Overlay {
    /// Its name in `/run/ostree/staged-initrds`.
    pub checksum: Checksum,
    /// What it takes of `/boot`.
    pub bytes: u64,
}

/// All that has to be put into `/boot`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BootFiles {
    /// Directories.
    pub installs: Vec<Install>,
    /// Overlay initrds.
    pub overlays: Vec<Overlay>,
    /// They have been put there already, ahead of the transaction.
    #[serde(skip)]
    pub are_installed: bool,
    /// What was noticed on the way.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl BootFiles {
    /// What it takes of a `/boot` of its own.
    pub fn bytes(&self) -> u64 {
        let installs = self.installs.iter().map(|install| install.bytes);
        installs.chain(self.overlays.iter().map(|overlay| overlay.bytes)).sum()
    }

    /// What installing makes anew, as paths in `/boot`; of directories that were prepared, both names.
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
