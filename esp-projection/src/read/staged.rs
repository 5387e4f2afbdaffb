//! A deployment that is not in the list yet.

use std::os::fd::OwnedFd;

use ostree_formats::deployment::Checksum;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::kernel_layout::{self, BootFile, KernelLayout};
use ostree_sysroot::{Roots, boot_names};
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

use super::ReadError;
use super::images::{Image, Images, MODULES};
use super::payload::files_below;
use crate::list::{CopiedFrom, Listed, Payload, PayloadFile};
use crate::target::PAYLOADS;

const ANNOUNCEMENT: &str = "run/ostree/staged-deployment";
/// A larger one is none.
const ANNOUNCEMENT_LIMIT: u64 = 1 << 20;

/// The payload of the deployment that waits for shutdown. If it is removed, shutdown copies it again: so an announcement that cannot be
/// read is no reason to fail.
pub fn announced(roots: &Roots) -> Option<String> {
    let read = dir::if_there(dir::read(&roots.system, ANNOUNCEMENT, ANNOUNCEMENT_LIMIT));
    let read = read.context("read", format_args!("/{ANNOUNCEMENT}")).inspect_err(|error| log::warn!("{error}"));
    // An empty one announces nothing, and the finalizer reports a damaged one.
    let target = StagedState::from_bytes(&read.ok()??).ok()?.target;
    Some(format!("{PAYLOADS}/{}", boot_names::kernel_directory(&target.deployment.stateroot, &target.bootcsum)))
}

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
            let path = format!("{}/{}/{}", deployment.path, kernel.directory, file.source);
            files.extend(of_kernel(file, &directory, &path)?);
        }
        files.extend(image.into_iter().flat_map(|image| image.files));
    }
    files.sort();
    let path = format!("{PAYLOADS}/{}", boot_names::kernel_directory(&deployment.path.stateroot, &deployment.bootcsum));
    let mut payloads = vec![Payload::Directory { path, files }];
    for checksum in &deployment.overlay_initrds {
        payloads.extend(overlay(roots, checksum)?);
    }
    Ok(Listed {
        deployment: deployment.path.clone(),
        entry: deployment.entry.clone(),
        payloads,
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

/// An overlay initrd, which is in `/boot` or waits for that. Whoever plans the update demands that it is there.
fn overlay(roots: &Roots, checksum: &Checksum) -> Result<Option<Payload>, SystemError> {
    let path = format!("{PAYLOADS}/{}", boot_names::overlay_file(checksum));
    let waits = format!("run/ostree/staged-initrds/{checksum}");
    let size = |root: &OwnedFd, path: &str, shown: String| {
        let found = dir::if_there(dir::open(root, path, OFlags::PATH).and_then(dir::stat_fd));
        Ok(found.context("read the attributes of", shown)?.map(|stat| stat.size))
    };
    let size = match size(&roots.boot, &path, format!("/boot/{path}"))? {
        None => size(&roots.system, &waits, format!("/{waits}"))?,
        size => size,
    };
    Ok(size.map(|size| Payload::File(PayloadFile { path, size, from: CopiedFrom::Boot })))
}

/// A file of the tree, or a directory with files, that will be in `/boot`. `path` is on the physical root.
fn of_kernel(file: &BootFile, directory: &OwnedFd, path: &str) -> Result<Vec<PayloadFile>, SystemError> {
    let of_tree = |below: &str| CopiedFrom::Tree { path: format!("{path}{below}"), sum: None };
    if !file.is_directory {
        let found = dir::open(directory, &file.source, OFlags::PATH).and_then(dir::stat_fd);
        let size = found.context("read the attributes of", format_args!("/{path}"))?.size;
        return Ok(vec![PayloadFile { path: file.target.clone(), size, from: of_tree("") }]);
    }
    let shown = format!("/{path}");
    let opened = dir::open(directory, &file.source, OFlags::RDONLY | OFlags::DIRECTORY).context("open", &shown)?;
    let named = |one: PayloadFile| PayloadFile {
        from: of_tree(&format!("/{}", one.path)),
        path: format!("{}/{}", file.target, one.path),
        size: one.size,
    };
    Ok(files_below(&opened, &shown)?.into_iter().map(named).collect())
}
