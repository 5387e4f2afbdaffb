//! What can be said against a deployment, and whether that is certain.

use ostree_formats::deployment::{DeploymentPath, hexadecimal};
use ostree_formats::prepare_root_conf::ConfError;
use rustix::io::Errno;
use system::SystemError;

use crate::composefs::{ComposefsError, IMAGE};
use crate::signature::VerifyError;

use super::image_objects::ListError;
use super::object::ObjectFault;

/// Why a deployment is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Finding {
    #[error("{0}")]
    System(#[from] SystemError),
    #[error("its configuration stops a boot: {0}")]
    Configuration(ConfError),
    #[error("{0}")]
    Composefs(#[from] ComposefsError),
    #[error("{0}")]
    Unverified(#[from] VerifyError),
    #[error(
        "no image is demanded ([composefs] enabled = no), so the deployment directory is what boots, and nothing vouches for that: `ostree fsck` compares objects with their names"
    )]
    NotEnabled,
    #[error(
        "there is no image, and none is demanded, so the deployment directory is what boots, and nothing vouches for that: `ostree fsck` compares objects with their names"
    )]
    NoImage,
    #[error("its image {IMAGE} is not that of its commit: the digest is {found}, the commit says {wanted}", found = hexadecimal(.found), wanted = hexadecimal(.wanted))]
    OtherImage { found: [u8; 32], wanted: Vec<u8> },
    #[error("its image {IMAGE} cannot be mounted: {0}")]
    Image(SystemError),
    #[error("its image {IMAGE} is damaged: {0}")]
    List(#[from] ListError),
    #[error("the object {object} (/{file}): {fault}")]
    Object { object: String, file: String, fault: ObjectFault },
    #[error(
        "all its {objects} objects have the content that they are named after, and whether they are sealed cannot be told: this kernel, or this filesystem, has no fs-verity"
    )]
    NoVerity { objects: usize },
}

impl Finding {
    /// Whether it is the deployment that is bad, and not that too little is known of it here.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Finding::System(_) | Finding::NotEnabled | Finding::NoImage | Finding::NoVerity { .. } => false,
            Finding::Configuration(_) | Finding::OtherImage { .. } => true,
            Finding::Composefs(error) => !matches!(error, ComposefsError::NoVerity { .. }),
            Finding::Unverified(error) => is_certain_of(error),
            // A kernel without EROFS, without a way to mount it from a file, or a caller who may not.
            Finding::Image(error) => !matches!(
                error.reason,
                Errno::NODEV | Errno::NOTBLK | Errno::PERM | Errno::ACCESS | Errno::NOMEM | Errno::NOENT | Errno::NXIO
            ),
            Finding::List(ListError::Unreadable(_, reason)) => !is_about_the_caller(*reason),
            Finding::List(_) => true,
            Finding::Object { fault, .. } => !fault.is_doubt(),
        }
    }
}

fn is_certain_of(error: &VerifyError) -> bool {
    match error {
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } => false,
        VerifyError::CommitUnreadable { reason, .. } | VerifyError::MetadataUnreadable { reason, .. } => {
            !is_about_the_caller(*reason)
        }
        _ => true,
    }
}

fn is_about_the_caller(reason: Errno) -> bool {
    matches!(reason, Errno::ACCESS | Errno::PERM | Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// What is said of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) deployment: DeploymentPath,
    pub(crate) result: Result<String, Finding>,
}
