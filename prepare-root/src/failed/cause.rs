//! Everything that can stop a boot.

use std::path::PathBuf;

use ostree_formats::cmdline::{BootTarget, TargetError};
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::ConfError;
use ostree_sysroot::boot_links::LookupError;
use rustix::io::Errno;
use system::SystemError;

use crate::facts::Caller;
use crate::plan::PlanError;
use crate::plan::choice::ChoiceError;
use crate::plan::composefs::AtBootMenu;
use crate::read::commit_signature::VerifyError;
use crate::read::physical_root::PhysicalRootError;

/// Why a boot failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    #[error("{0}")]
    Target(#[from] TargetError),
    #[error("the configuration is unusable: {}", join(.0))]
    Configuration(Vec<ConfError>),
    #[error("nothing is mounted at {0}, where the root filesystem should be")]
    NotMounted(String),
    #[error("SYSROOT {0} leads to /, the root of this system; a new root cannot be mounted there")]
    SysrootIsRoot(String),
    #[error("the filesystem at {0} is not the root of an OSTree system: it has no directory /ostree")]
    NotOstree(String),
    #[error("{0}")]
    Lookup(#[from] LookupError),
    #[error("{argument}: {error}")]
    Choice { argument: String, error: ChoiceError },
    #[error("there is no boot link {missing}, and several deployments have this kernel: {}", paths(.candidates))]
    Ambiguous { missing: String, candidates: Vec<DeploymentPath> },
    #[error(
        "there is no boot link {missing}, and the deployment /{candidate}, which might have been meant, cannot be checked: {reason}"
    )]
    Unknown { missing: String, candidate: DeploymentPath, reason: Errno },
    #[error("{sysroot} is already prepared for {prepared}, but /{asked} was requested")]
    PreparedForAnother { sysroot: String, prepared: String, asked: String },
    #[error("the deployment {deployment} cannot be booted: {error}", deployment = format!("/{deployment}"))]
    Plan { deployment: DeploymentPath, error: PlanError },
    #[error("the deployment {deployment} cannot be verified: {error}", deployment = format!("/{deployment}"))]
    Verify { deployment: DeploymentPath, error: Box<VerifyError> },
    #[error("the composefs image of the deployment {deployment} cannot be mounted: {error}", deployment = format!("/{deployment}"))]
    Image { deployment: DeploymentPath, error: Box<SystemError>, at_boot_menu: AtBootMenu },
    #[error("the hotfix of /usr in the deployment {deployment} cannot be mounted: {error}", deployment = format!("/{deployment}"))]
    Hotfix { deployment: DeploymentPath, error: Box<SystemError> },
    #[error("the deployment {deployment} cannot be booted: {error}", deployment = format!("/{deployment}"))]
    Init {
        deployment: DeploymentPath,
        error: InitError,
        /// Only files that are sealed with fs-verity can be read.
        sealed: bool,
        at_boot_menu: AtBootMenu,
    },
    #[error("{0}")]
    System(#[from] SystemError),
    #[error("cannot execute {init}: {reason}")]
    Exec { init: &'static str, reason: Errno },
}

impl Cause {
    /// The cause, for a report that lists the deployments below it.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Choice { argument, error } => format!("{argument}: {}", error.brief()),
            Self::Ambiguous { missing, .. } => {
                format!("there is no boot link {missing}, and several deployments have this kernel")
            }
            other => other.to_string(),
        }
    }

    /// The deployment that cannot be booted.
    pub(crate) fn deployment(&self) -> Option<&DeploymentPath> {
        match self {
            Self::Plan { deployment, .. }
            | Self::Verify { deployment, .. }
            | Self::Image { deployment, .. }
            | Self::Hotfix { deployment, .. }
            | Self::Init { deployment, .. } => Some(deployment),
            _ => None,
        }
    }
}

impl From<PhysicalRootError> for Cause {
    fn from(error: PhysicalRootError) -> Cause {
        match error {
            PhysicalRootError::NotMounted(at) => Cause::NotMounted(at),
            PhysicalRootError::System(error) => Cause::System(error),
        }
    }
}

/// Why the new root has no init that can be executed. Paths are those in the new root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InitError {
    #[error("it has no init: none of these files exists: {}", .0.join(", "))]
    Missing(Vec<String>),
    #[error("init={path} cannot be read: {reason}; correct or remove init= in the boot menu")]
    Named { path: String, reason: Errno },
    #[error("{path}{} cannot be read: {reason}", because_of(.needed_by))]
    Unreadable { path: String, needed_by: Option<String>, reason: Errno },
}

impl InitError {
    /// Only a part of the tree is missing: another program may work.
    pub(crate) fn is_absence(&self) -> bool {
        !matches!(self, Self::Unreadable { reason, .. } if !matches!(*reason, Errno::NOENT | Errno::LOOP))
    }

    /// Reading failed, whatever program is executed.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Unreadable { reason: Errno::IO, .. })
    }
}

fn because_of(program: &Option<String>) -> String {
    program.as_ref().map(|program| format!(", which {program} needs,")).unwrap_or_default()
}

fn paths(deployments: &[DeploymentPath]) -> String {
    deployments.iter().map(|path| format!("/{path}")).collect::<Vec<_>>().join("; ")
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A boot that failed, with what was known at that time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) caller: Caller,
    pub(crate) sysroot: PathBuf,
    /// `None` if the command line requests no deployment.
    pub(crate) asked_for: Option<BootTarget>,
}
