//! Kernel, initramfs and device trees of a deployment, and their names in `/boot`.

mod beside;
mod candidates;
mod error;
pub mod layout;
mod unified;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::bootlink::Bootcsum;
use ostree_formats::deployment::DeploymentPath;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::bootcsum;

pub use beside::{ImageBeside, images_beside};
use candidates::Candidates;
pub use error::KernelError;
pub use layout::{BootFile, KernelLayout, checksum_in};
pub use unified::{unified, unified_at};

/// Finds the kernel of the open deployment, which is at `path`.
///
/// If only one kernel is possible, no file is read. Of several kernels it is the one with the bootcsum `on_record`, from the staged
/// data or from the boot link of the deployment.
///
/// # Errors
/// There is no kernel; or there are several, and no bootcsum is on record, or none of them has it.
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
            .map_err(|error| SystemError { object: format!("/{path}/{}", error.object).into(), ..error })?
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
/// A kernel cannot be read, and none of the others has it.
pub fn has_bootcsum(deployment: impl AsFd, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    let deployment = deployment.as_fd();
    let found = Candidates::find(deployment)?;
    let all: Vec<&KernelLayout> = found.modules.iter().chain(&found.older).collect();
    with_bootcsum(deployment, &all, bootcsum).map(|layout| layout.is_some()).map_err(|error| error.reason)
}

/// Checks that kernel and initramfs of the open deployment match its bootcsum.
///
/// # Errors
/// They do not match, or cannot be read.
pub fn check(
    deployment: impl AsFd,
    path: &DeploymentPath,
    layout: &KernelLayout,
    bootcsum: &Bootcsum,
) -> Result<(), KernelError> {
    // Older layouts have the checksum in their names; it need not be that of the files.
    if checksum_in(&layout.kernel.source).is_some() {
        return Ok(());
    }
    let deployment = deployment.as_fd();
    let in_deployment =
        |error: SystemError| SystemError { object: format!("/{path}/{}", error.object).into(), ..error };
    let found = bootcsum::of(deployment, layout).map_err(in_deployment)?;
    if found == bootcsum.as_str() {
        return Ok(());
    }
    let absolute_link = bootcsum::absolute_link(deployment, layout).map_err(in_deployment)?;
    Err(KernelError::Damaged { deployment: path.clone(), found, wanted: bootcsum.clone(), absolute_link })
}

/// Opens the directory of a deployment that contains the files of `layout`.
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

/// The first of several kernels that has this bootcsum. A kernel that cannot be read is an error only if none of the others has it.
fn with_bootcsum(
    deployment: BorrowedFd<'_>,
    several: &[&KernelLayout],
    bootcsum: &Bootcsum,
) -> Result<Option<KernelLayout>, SystemError> {
    let mut unreadable = None;
    // First the kernels with the bootcsum in their names, because no file is read for them.
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
