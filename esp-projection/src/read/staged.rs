//! A deployment that is not in the list yet.

use std::os::fd::OwnedFd;

use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::kernel_layout::{self, BootFile, KernelLayout};
use ostree_sysroot::{Roots, boot_names};
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

use super::ReadError;
use super::images::{Image, Images, MODULES};
use super::payload::files_below;
use crate::list::{CopiedFrom, Listed, Payload, PayloadFile};

/// What the payload of a deployment will be, as its tree says.
///
/// # Errors
/// A file cannot be read, or its image cannot boot it.
pub fn of_tree(roots: &Roots, deployment: &Deployment, images: &mut Images) -> Result<Listed, ReadError> {
    let mut files = Vec::new();
    if let Some(kernel) = deployment.kernel() {
        let image = image(roots, deployment, kernel, images)?;
        let directory = kernel_layout::open_directory(&roots.sysroot, &deployment.path, kernel)?;
        for file in kernel.files().filter(|file| image.is_none() || kernel.devicetree.as_ref() == Some(file)) {
            let shown = format!("/{}/{}/{}", deployment.path, kernel.directory, file.source);
            files.extend(of_boot(file, &directory, &shown)?);
        }
        files.extend(image.into_iter().flat_map(|image| image.files));
    }
    files.sort();
    let path = format!("ostree/{}", boot_names::kernel_directory(&deployment.path.stateroot, &deployment.bootcsum));
    Ok(Listed {
        deployment: deployment.path.clone(),
        entry: deployment.entry.clone(),
        payloads: vec![Payload::Directory { path, files }],
        can_bless: false,
        is_booted: false,
    })
}

/// The image that it will boot.
fn image(
    roots: &Roots,
    deployment: &Deployment,
    kernel: &KernelLayout,
    images: &mut Images,
) -> Result<Option<Image>, ReadError> {
    if kernel.initramfs.is_none() || !kernel.directory.starts_with(MODULES) {
        return Ok(None);
    }
    let image = images.of(roots, &deployment.path, &kernel.directory)?;
    match image {
        Some(image) if !deployment.overlay_initrds.is_empty() => {
            Err(ReadError::OverlayWithImage { image: image.source })
        }
        image => Ok(image),
    }
}

/// A file or a directory of the tree that will be in `/boot`.
fn of_boot(file: &BootFile, directory: &OwnedFd, shown: &str) -> Result<Vec<PayloadFile>, SystemError> {
    if !file.is_directory {
        let found = dir::open(directory, &file.source, OFlags::PATH).and_then(dir::stat_fd);
        let size = found.context("read the attributes of", shown)?.size;
        return Ok(vec![PayloadFile { path: file.target.clone(), size, from: CopiedFrom::Boot }]);
    }
    let opened = dir::open(directory, &file.source, OFlags::RDONLY | OFlags::DIRECTORY).context("open", shown)?;
    let named = |one: PayloadFile| PayloadFile { path: format!("{}/{}", file.target, one.path), ..one };
    Ok(files_below(&opened, shown)?.into_iter().map(named).collect())
}
