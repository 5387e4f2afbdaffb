//! Why no plan is possible.

use super::composefs::ComposefsError;
use crate::facts::PathKind;

/// Why no plan is possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Composefs(#[from] ComposefsError),
    #[error("the deployment has no directory {name}{}", but(.found))]
    Incomplete { name: &'static str, found: &'static str },
    #[error("the stateroot has no directory var{}", but(.0))]
    NoStaterootVar(&'static str),
    #[error("the hotfix of /usr is incomplete: the deployment has .usr-ovl-work, but no directory .usr-ovl-upper")]
    HotfixWithoutUpper,
    #[error("the hotfix of /usr is damaged: .usr-ovl-work is not a directory")]
    HotfixWork,
    #[error("the deployment has no /sbin/init to execute")]
    NoInit,
}

/// What is there instead of a directory, if anything is.
fn but(found: &str) -> String {
    if found == PathKind::Nothing.describe() { String::new() } else { format!(", but {found}") }
}

/// A directory that each deployment has.
pub(super) fn require_directory(name: &'static str, found: PathKind) -> Result<(), PlanError> {
    if found == PathKind::Directory { Ok(()) } else { Err(PlanError::Incomplete { name, found: found.describe() }) }
}
