//! What is to be projected, and what is on the target. Only reads.

pub mod devices;
pub(crate) mod digest;
pub mod drive;
pub mod filesystem;
pub mod images;
pub mod installed;
mod known_sums;
pub mod list;
pub mod menu;
pub mod partition;
mod payload;
pub mod staged;
pub mod target;
pub mod variables;

use system::SystemError;

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The list of deployments.
    #[error("{0}")]
    Sysroot(#[from] ostree_sysroot::SysrootError),
    /// A file.
    #[error("{0}")]
    System(#[from] SystemError),
    /// An entry names a file that is not there.
    #[error("{entry} names {path}, which is not in /boot")]
    NoFile {
        /// The entry.
        entry: String,
        /// The file.
        path: String,
    },
    /// An entry names a file that cannot have the same name on an ESP.
    #[error("{entry} names {path}, which is not in /boot/ostree: a boot loader on the ESP would not find it")]
    Elsewhere {
        /// The entry.
        entry: String,
        /// The file.
        path: String,
    },
    /// A tree has several images.
    #[error(
        "there are several unified kernel images: {}; the tree must have one, or esp.conf(5) must say [esp] uki=ignore", images.join(", ")
    )]
    SeveralImages {
        /// Their paths.
        images: Vec<String>,
    },
    /// An image is to boot a deployment that it cannot boot.
    #[error(
        "the entry loads further initrds, and the unified kernel image /{image} loads none: deploy without --overlay-initrd, or \
         write [esp] uki=ignore into /etc/ostree/esp.conf"
    )]
    OverlayWithImage {
        /// Its path on the physical root.
        image: String,
    },
}

impl ReadError {
    /// Whether another deployment may be projected.
    fn is_of_one_deployment(&self) -> bool {
        use ReadError::{Elsewhere, NoFile, OverlayWithImage, SeveralImages};
        matches!(self, NoFile { .. } | Elsewhere { .. } | SeveralImages { .. } | OverlayWithImage { .. })
    }
}
