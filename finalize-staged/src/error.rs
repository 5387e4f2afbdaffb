//! Why a deployment is not finalized, in one line for whoever reads the journal.

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedStateError;
use ostree_sysroot::SysrootError;
use system::SystemError;

use crate::etc_merge::conflict::Conflict;

/// Anything that stops finalization before the swap. After it there are only warnings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What is on the disk.
    #[error(transparent)]
    Sysroot(SysrootError),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Only root can.
    #[error("finalizing needs root; --plan shows what would be done without it, as far as it can read")]
    NotRoot,
    /// What is in `/run/ostree/staged-deployment` is no staged deployment.
    #[error("{path} is damaged: {reason}; the update in it is lost: stage it again")]
    Staged {
        /// The file.
        path: &'static str,
        /// What is wrong with it.
        reason: StagedStateError,
    },
    /// The staged deployment is not on the disk.
    #[error("the staged deployment /{0} is not there: stage it again")]
    TargetMissing(DeploymentPath),
    /// Whose `/etc` is to be carried over is not in the list.
    #[error("the deployment /{0}, whose /etc was to be carried over, has no boot loader entry: stage the update again")]
    MergeDeploymentMissing(DeploymentPath),
    /// Both the machine and the new tree have changed something, and not both can be there.
    #[error("{}", conflicts(.0))]
    Conflicts(Vec<Conflict>),
    /// Nothing to make its `/etc` from.
    #[error(
        "the staged deployment /{0} has neither etc nor usr/etc, so there is nothing to make its /etc from; rebuild the tree with usr/etc, and stage the update again"
    )]
    NoShippedEtc(DeploymentPath),
    /// No system call takes such a path.
    #[error(
        "cannot merge /etc: the path of the directory {0} is longer than the 4,095 bytes that the kernel takes; remove that directory, and finalize again"
    )]
    EtcTooDeep(String),
    /// FAT has no links.
    #[error(
        "/boot is a FAT filesystem: the symbolic links that make an update atomic cannot be there; move /boot to ext4 or XFS (the ESP can stay FAT)"
    )]
    BootOnFat,
    /// Not enough room, even without what is going away.
    #[error(
        "No space left on device: /boot has {available} bytes left, this update frees {freed}, and {needed} are needed for the kernel and initramfs of /{deployment}; remove files of your own from /boot, or an old deployment (ostree admin undeploy INDEX)"
    )]
    BootFull {
        /// Needed.
        needed: u64,
        /// There.
        available: u64,
        /// More, when the deployments that the update replaces have gone.
        freed: u64,
        /// For what.
        deployment: DeploymentPath,
    },
    /// Somebody has the sysroot.
    #[error("waited {seconds} s for the lock of the sysroot, which {holder} has")]
    Locked {
        /// How long.
        seconds: u64,
        /// Who.
        holder: String,
    },
    /// Another program has to finalize, and is not there.
    #[error("{reason}: this is left to ostree, and there is no {program}")]
    NobodyToHandOverTo {
        /// Why it is not ours.
        reason: String,
        /// Which.
        program: &'static str,
    },
    /// The other program could not be started.
    #[error("cannot execute {program}: {reason}")]
    HandOver {
        /// Which.
        program: &'static str,
        /// Why.
        reason: rustix::io::Errno,
    },
}

impl From<SysrootError> for Error {
    // Once, and not at every `?`: that is 3 KB of program.
    #[inline(never)]
    fn from(error: SysrootError) -> Self {
        match error {
            SysrootError::System(error) => Self::System(error),
            other => Self::Sysroot(other),
        }
    }
}

/// How many conflicts a message names.
pub(crate) const SHOWN_CONFLICTS: usize = 10;

fn conflicts(conflicts: &[Conflict]) -> String {
    let mut text: String = conflicts.iter().take(SHOWN_CONFLICTS).map(|conflict| format!("{conflict}; ")).collect();
    if conflicts.len() > SHOWN_CONFLICTS {
        text.push_str(&format!("and {} more; ", conflicts.len() - SHOWN_CONFLICTS));
    }
    text + "both have changed: keep one; move this machine's version out of the way, or adapt it, and finalize again"
}
