//! Why there can be no plan.

use super::composefs::ComposefsError;
use crate::facts::PathKind;

/// Why there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Composefs(#[from] ComposefsError),
    #[error("the deployment has no directory {name}: {found} is there")]
    Incomplete { name: &'static str, found: &'static str },
    #[error("the stateroot has no directory var: {0} is there")]
    NoStaterootVar(&'static str),
    #[error(
        "the deployment has .usr-ovl-work, so a hotfix of /usr was begun, but no directory .usr-ovl-upper with its files"
    )]
    HotfixWithoutUpper,
    #[error("the deployment has .usr-ovl-work, which is not a directory")]
    HotfixWork,
    #[error("the deployment has no /sbin/init to execute")]
    NoInit,
}

/// A directory that each deployment has.
pub(super) fn require_directory(name: &'static str, found: PathKind) -> Result<(), PlanError> {
    if found == PathKind::Directory { Ok(()) } else { Err(PlanError::Incomplete { name, found: found.describe() }) }
}
