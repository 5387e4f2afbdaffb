//! What is to be projected, and what is on the target. Only reads.

pub mod devices;
pub mod drive;
pub mod installed;
pub mod list;
pub mod menu;
pub mod partition;
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
}
