//! What is wrong with a deployment, and whether that is certain.

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
    #[error("{0}")]
    NoRoot(String),
    #[error("its configuration has an error: {0}")]
    Configuration(ConfError),
    #[error("{0}")]
    Demand(#[from] ComposefsError),
    #[error("{0}")]
    Plan(#[from] PlanError),
    #[error("{0}")]
    Unverified(#[from] VerifyError),
    #[error(
        "composefs is off ([composefs] enabled = no), so nothing can be verified; to compare objects with their checksums: `ostree fsck`"
    )]
    NotEnabled,
    #[error(
        "the deployment has no image and none is demanded, so nothing can be verified; to compare objects with their checksums: `ostree fsck`"
    )]
    NoImage,
    #[error("its image {IMAGE} does not match its commit: the digest is {found}, the commit has {wanted}", found = hexadecimal(.found), wanted = hexadecimal(.wanted))]
    OtherImage { found: [u8; 32], wanted: Vec<u8> },
    #[error("its image {IMAGE} has {0} bytes, more than ostree makes; it was not read")]
    ImageTooLarge(u64),
    #[error("its image {IMAGE} cannot be read: {0}")]
    ImageContent(Errno),
    #[error("its image {IMAGE} cannot be mounted: {error}")]
    Image {
        error: SystemError,
        /// Its digest is the right one.
        known: bool,
    },
    #[error("a hotfix (.usr-ovl-upper) lies over its /usr; the hotfix cannot be verified")]
    Hotfix,
    #[error("it was removed during the check")]
    Gone,
    #[error("its image {IMAGE} is damaged: {0}")]
    List(#[from] ListError),
    #[error("the object {object} (/{file}): {fault}")]
    Object { object: String, file: String, fault: ObjectFault },
    #[error("the content of all its {objects} objects matches their names, but none is sealed: {}", .lack.describe())]
    NoVerity { objects: usize, lack: Lack },
}

impl Finding {
    /// Whether the deployment is certainly bad. Otherwise it could not be checked completely.
    pub(crate) fn is_certain(&self) -> bool {
        match self {
            Finding::System(_)
            | Finding::NoRoot(_)
            | Finding::NotEnabled
            | Finding::NoImage
            | Finding::Hotfix
            | Finding::Gone => false,
            // Of the kernel argument: the next boot may have another one.
            Finding::Demand(_) | Finding::ImageTooLarge(_) => false,
            Finding::Configuration(_) | Finding::OtherImage { .. } => true,
            Finding::Plan(PlanError::Composefs(ComposefsError::NoVerity { lack, .. })) => *lack == Lack::Filesystem,
            Finding::Plan(_) => true,
            Finding::Unverified(error) => is_certain_of(error),
            Finding::ImageContent(reason) => content::is_damage(*reason),
            // Not certain: the kernel may lack EROFS or loop devices, the caller the permission, or the kernel is too old for this image.
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
        // Damage, or a missing or wrong file in its place.
        VerifyError::CommitUnreadable { reason, .. } | VerifyError::MetadataUnreadable { reason, .. } => {
            content::is_damage(*reason)
                || matches!(*reason, Errno::NOENT | Errno::FBIG | Errno::LOOP | Errno::INVAL | Errno::ISDIR)
        }
        _ => true,
    }
}

/// The result for one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) deployment: DeploymentPath,
    pub(crate) result: Result<String, Finding>,
}
