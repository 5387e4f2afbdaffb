//! What can be said against a deployment, and whether that is certain.

use ostree_formats::deployment::{DeploymentPath, hexadecimal};
use ostree_formats::prepare_root_conf::ConfError;
use rustix::io::Errno;
use system::SystemError;

use super::content;
use super::image_objects::ListError;
use super::object::ObjectFault;
use crate::facts::{IMAGE, Lack};
use crate::plan::PlanError;
use crate::plan::composefs::ComposefsError;
use crate::read::commit_signature::VerifyError;

/// Why a deployment is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Finding {
    #[error("{0}")]
    System(#[from] SystemError),
    #[error("its configuration stops a boot: {0}")]
    Configuration(ConfError),
    #[error("{0}")]
    Demand(#[from] ComposefsError),
    #[error("{0}")]
    Plan(#[from] PlanError),
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
    #[error("its image {IMAGE} has {0} bytes, which is more than ostree makes, and is not looked at")]
    ImageTooLarge(u64),
    #[error("its image {IMAGE} cannot be read: {0}")]
    ImageContent(Errno),
    #[error("its image {IMAGE} cannot be mounted: {error}")]
    Image {
        error: SystemError,
        /// It is what it was made as.
        known: bool,
    },
    #[error("a hotfix (.usr-ovl-upper) lies over its /usr, for which nobody vouches")]
    Hotfix,
    #[error("it was removed meanwhile")]
    Gone,
    #[error("its image {IMAGE} is damaged: {0}")]
    List(#[from] ListError),
    #[error("the object {object} (/{file}): {fault}")]
    Object { object: String, file: String, fault: ObjectFault },
    #[error("all its {objects} objects have the content that they are named after, and none is sealed: {}", .lack.describe())]
    NoVerity { objects: usize, lack: Lack },
}

impl Finding {
    /// Whether it is the deployment that is bad, and not that too little is known of it here.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Finding::System(_) | Finding::NotEnabled | Finding::NoImage | Finding::Hotfix | Finding::Gone => false,
            // Of the kernel argument: the next boot may have another one.
            Finding::Demand(_) | Finding::ImageTooLarge(_) => false,
            Finding::Configuration(_) | Finding::OtherImage { .. } => true,
            Finding::Plan(PlanError::Composefs(ComposefsError::NoVerity { lack, .. })) => *lack == Lack::Filesystem,
            Finding::Plan(_) => true,
            Finding::Unverified(error) => is_certain_of(error),
            Finding::ImageContent(reason) => content::is_damage(*reason),
            // A kernel without EROFS, without a way to mount it from a file, a caller who may not; or too old for a good image.
            Finding::Image { error, known } => {
                !known && (error.reason == Errno::INVAL || content::is_damage(error.reason))
            }
            Finding::List(ListError::Unreadable(_, reason)) => content::is_damage(*reason),
            Finding::List(_) => true,
            Finding::Object { fault, .. } => !fault.is_doubt(),
            Finding::NoVerity { lack, .. } => *lack == Lack::Filesystem,
        }
    }
}

fn is_certain_of(error: &VerifyError) -> bool {
    match error {
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } => false,
        // Of the disk, or in the way of whoever makes it as large.
        VerifyError::CommitUnreadable { reason, .. } | VerifyError::MetadataUnreadable { reason, .. } => {
            content::is_damage(*reason)
                || matches!(*reason, Errno::NOENT | Errno::FBIG | Errno::LOOP | Errno::INVAL | Errno::ISDIR)
        }
        _ => true,
    }
}

/// What is said of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) deployment: DeploymentPath,
    pub(crate) result: Result<String, Finding>,
}
