//! What goes wrong.

use system::SystemError;

/// Why there is no overlay.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    System(#[from] SystemError),
    #[error("this system was not booted from an OSTree deployment")]
    NotBooted,
    #[error("none of the deployments on the disk is the booted one, as /run/ostree-booted describes it")]
    NoDeployment,
}
