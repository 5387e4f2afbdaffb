//! What a deployment boots with, and the names that it gets in `/boot`.

mod candidates;
mod error;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::bootlink::Bootcsum;
use ostree_formats::deployment::{Checksum, DeploymentPath};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Serialize;
use system::dir;
use system::{Context, SystemError};

use crate::bootcsum;

use candidates::Candidates;
pub use error::KernelError;

/// A file, or a directory tree, that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct BootFile {
    /// Its name in the tree, in [`KernelLayout::directory`].
    pub source: String,
    /// Its name in `/boot/ostree/STATEROOT-BOOTCSUM`.
    pub target: String,
    /// A directory with all that is in it.
    pub is_directory: bool,
}

impl BootFile {
    fn file(source: &str, target: String) -> Self {
        Self { source: source.to_owned(), target, is_directory: false }
    }
}

/// Kernel, initramfs and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KernelLayout {
    /// Where they are in the tree.
    pub directory: String,
    /// The kernel.
    pub kernel: BootFile,
    /// The initramfs, where there is one.
    pub initramfs: Option<BootFile>,
    /// One device tree, or a directory `dtb` of many.
    pub devicetree: Option<BootFile>,
    /// The checksum file that a FIPS kernel wants beside it.
    pub hmac: Option<BootFile>,
    /// The image of an Android boot loader.
    pub aboot: Option<BootFile>,
}

impl KernelLayout {
    /// All that is installed.
    pub fn files(&self) -> impl Iterator<Item = &BootFile> {
        let optional = [&self.initramfs, &self.devicetree, &self.hmac, &self.aboot];
        std::iter::once(&self.kernel).chain(optional.into_iter().flatten())
    }

    /// What the bootcsum is made of, in that order.
    pub fn hashed(&self) -> impl Iterator<Item = &BootFile> {
        std::iter::once(&self.kernel).chain([&self.initramfs, &self.devicetree].into_iter().flatten())
    }

    fn path(&self) -> String {
        format!("{}/{}", self.directory, self.kernel.source)
    }
}

/// Finds the kernel of the deployment that is open, which is at `path`.
///
/// Where only one is possible it is that one, and nothing is read. Of several it is the one with the bootcsum `on_record`: in
/// the staged data, or in the boot link that leads to the deployment.
///
/// # Errors
/// Several are possible and none is on record, none has the bootcsum on record, or there is none.
pub fn find(
    deployment: impl AsFd,
    path: &DeploymentPath,
    on_record: Option<&Bootcsum>,
) -> Result<KernelLayout, KernelError> {
    let deployment = deployment.as_fd();
    let found = Candidates::find(deployment).context("look for a kernel in", format_args!("/{path}"))?;
    let possible = found.possible();
    let layout = match (possible.as_slice(), on_record) {
        ([], _) => return Err(KernelError::Missing(path.clone())),
        ([only], _) => (*only).clone(),
        (several, Some(bootcsum)) => with_bootcsum(deployment, several, bootcsum)
            .map_err(|error| SystemError { object: format!("/{path}/{}", error.object), ..error })?
            .ok_or_else(|| KernelError::NotOnRecord {
                deployment: path.clone(),
                wanted: bootcsum.clone(),
                candidates: several.iter().map(|layout| layout.path()).collect(),
            })?,
        (several, None) => {
            let candidates = several.iter().map(|layout| layout.path()).collect();
            return Err(KernelError::Several { deployment: path.clone(), candidates });
        }
    };
    if let Some(other) = found.mismatch(&layout) {
        let (deployment, one, other) = (path.clone(), layout.kernel.source, other.to_owned());
        return Err(KernelError::Mismatch { deployment, one, other });
    }
    Ok(layout)
}

/// Whether one of the kernels of a deployment has this bootcsum.
///
/// # Errors
/// None is known to have it, and one of them cannot be read.
pub fn has_bootcsum(deployment: impl AsFd, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    let deployment = deployment.as_fd();
    let found = Candidates::find(deployment)?;
    let all: Vec<&KernelLayout> = found.modules.iter().chain(&found.older).collect();
    with_bootcsum(deployment, &all, bootcsum).map(|layout| layout.is_some()).map_err(|error| error.reason)
}

/// Whether kernel and initramfs of the deployment that is open are those that its bootcsum promises.
///
/// # Errors
/// They are not, or cannot be read.
pub fn check(
    deployment: impl AsFd,
    path: &DeploymentPath,
    layout: &KernelLayout,
    bootcsum: &Bootcsum,
) -> Result<(), KernelError> {
    // Older layouts have the checksum in their names, whatever it was made from.
    if checksum_in(&layout.kernel.source).is_some() {
        return Ok(());
    }
    let deployment = deployment.as_fd();
    let in_deployment = |error: SystemError| SystemError { object: format!("/{path}/{}", error.object), ..error };
    let found = bootcsum::of(deployment, layout).map_err(in_deployment)?;
    if found == bootcsum.as_str() {
        return Ok(());
    }
    let absolute_link = bootcsum::absolute_link(deployment, layout).map_err(in_deployment)?;
    Err(KernelError::Damaged { deployment: path.clone(), found, wanted: bootcsum.clone(), absolute_link })
}

/// Opens the directory of a deployment that the files of `layout` are in.
///
/// # Errors
/// As `openat2(2)`.
pub fn open_directory(
    sysroot: impl AsFd,
    deployment: &DeploymentPath,
    layout: &KernelLayout,
) -> Result<OwnedFd, SystemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let directory = &layout.directory;
    dir::open_directory(sysroot, deployment.to_string())
        .and_then(|deployment| dir::open(deployment, directory, flags))
        .context("open", format_args!("/{deployment}/{directory}"))
}

/// The checksum at the end of a name in an older layout.
pub fn checksum_in(name: &str) -> Option<Checksum> {
    name.rsplit_once('-')?.1.parse().ok()
}

/// The first of several that has this bootcsum. What cannot be read is an error only if none of the others has it.
fn with_bootcsum(
    deployment: BorrowedFd<'_>,
    several: &[&KernelLayout],
    bootcsum: &Bootcsum,
) -> Result<Option<KernelLayout>, SystemError> {
    let mut unreadable = None;
    // Those that have it in their names cost nothing.
    let (named, unnamed): (Vec<&KernelLayout>, Vec<&KernelLayout>) =
        several.iter().partition(|layout| checksum_in(&layout.kernel.source).is_some());
    for layout in named.into_iter().chain(unnamed) {
        match bootcsum::of(deployment, layout) {
            Ok(found) if found == bootcsum.as_str() => return Ok(Some(layout.clone())),
            Ok(_) => {}
            Err(error) => unreadable = unreadable.or(Some(error)),
        }
    }
    unreadable.map_or(Ok(None), Err)
}

#[cfg(test)]
mod tests;
