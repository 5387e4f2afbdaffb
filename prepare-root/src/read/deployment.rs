//! The directory of a deployment, with its image.

use std::os::fd::OwnedFd;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_links::Followed;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{dir, verity};

use crate::facts::{IMAGE, Lack, PathKind, Seal};

/// A deployment directory that was found.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) path: DeploymentPath,
    pub(crate) directory: OwnedFd,
    /// Its composefs image, if it was opened: the same file is checked and mounted.
    pub(crate) image: Option<OwnedFd>,
}

impl From<Followed> for Deployment {
    fn from(Followed { path, directory }: Followed) -> Self {
        Self { path, directory, image: None }
    }
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
