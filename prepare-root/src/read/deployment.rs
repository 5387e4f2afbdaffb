//! Deployment directories.

use std::os::fd::OwnedFd;

use ostree_formats::deployment::{DeploymentId, DeploymentPath, Stateroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree, verity};

use super::physical_root::PhysicalRoot;
use crate::facts::{IMAGE, Lack, PathKind, Seal};

/// A deployment directory that was found.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) path: DeploymentPath,
    pub(crate) directory: OwnedFd,
    /// Its composefs image, if it was opened: the same file is checked and mounted.
    pub(crate) image: Option<OwnedFd>,
}

impl Deployment {
    /// Opens the image, and returns what is there.
    pub(crate) fn open_image(&mut self) -> Result<PathKind, Errno> {
        // A fifo or terminal in its place must not block the boot.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let image = match dir::open(&self.directory, IMAGE, flags) {
            Ok(image) => image,
            Err(Errno::NOENT) => return Ok(PathKind::Nothing),
            Err(Errno::LOOP) => return Ok(PathKind::Link),
            // A socket, or a device without a driver.
            Err(Errno::NXIO) => return Ok(PathKind::Other),
            Err(error) => return Err(error),
        };
        let found = PathKind::from(dir::stat_fd(&image)?.kind);
        self.image = (found == PathKind::File).then_some(image);
        Ok(found)
    }

    /// The seal of the open image, if there is one.
    pub(crate) fn seal_of_image(&self) -> Result<Seal, Errno> {
        let Some(image) = &self.image else { return Ok(Seal::Missing) };
        Ok(match verity::measure(image)? {
            verity::Seal::Sha256(digest) => Seal::Sha256(digest),
            verity::Seal::Other(algorithm) => Seal::Other(algorithm),
            verity::Seal::None => Seal::Missing,
            verity::Seal::Unsupported => Seal::Unsupported(match verity::lack() {
                verity::Lack::Kernel => Lack::Kernel,
                verity::Lack::Filesystem => Lack::Filesystem,
                verity::Lack::Unknown => Lack::Unknown,
            }),
        })
    }
}

/// The deployments of one stateroot that exist as directories, in the order of their names.
///
/// # Errors
/// As `open(2)` and `getdents64(2)`, except those that mean that there are none.
pub(crate) fn deployments_of(physical: &PhysicalRoot, stateroot: &str) -> Result<Vec<DeploymentPath>, Errno> {
    let Ok(stateroot) = stateroot.parse::<Stateroot>() else { return Ok(Vec::new()) };
    let names = dir::if_there(dir::names(physical, format!("ostree/deploy/{stateroot}/deploy")))?.unwrap_or_default();
    let ids = names.iter().filter_map(|name| name.parse::<DeploymentId>().ok());
    Ok(ids.map(|id| DeploymentPath { stateroot: stateroot.clone(), id }).collect())
}

/// Those of all stateroots. A stateroot that cannot be listed is an error, because its deployments would be skipped. A stateroot
/// without deployments has no directory for them.
///
/// # Errors
/// As `open(2)` and `getdents64(2)`.
pub(crate) fn all_deployments(physical: &PhysicalRoot) -> Result<Vec<DeploymentPath>, SystemError> {
    let list = |path: &str| match dir::open(physical, path, OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        directory => directory.and_then(tree::entries).context("list", format_args!("/{path}")),
    };
    let mut deployments = Vec::new();
    // Like libostree, ignore links.
    for (name, _) in list("ostree/deploy")?.into_iter().filter(|(_, kind)| *kind == Kind::Directory) {
        let Some(stateroot) = String::from_utf8(name).ok().and_then(|name| name.parse::<Stateroot>().ok()) else {
            continue;
        };
        for (name, _) in list(&format!("ostree/deploy/{stateroot}/deploy"))? {
            if let Some(id) = String::from_utf8(name).ok().and_then(|name| name.parse::<DeploymentId>().ok()) {
                deployments.push(DeploymentPath { stateroot: stateroot.clone(), id });
            }
        }
    }
    Ok(deployments)
}
