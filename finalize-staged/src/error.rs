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
    #[error("finalization needs root; without root, use --plan")]
    NotRoot,
    /// What is in `/run/ostree/staged-deployment` is no staged deployment.
    #[error("{path} is damaged: {reason}; the staged update is lost: stage it again")]
    Staged {
        /// The file.
        path: &'static str,
        /// What is wrong with it.
        reason: StagedStateError,
    },
    /// The staged deployment is not on the disk.
    #[error("the staged deployment /{0} does not exist: stage the update again")]
    TargetMissing(DeploymentPath),
    /// Whose `/etc` is to be carried over is not in the list.
    #[error("cannot merge /etc: /{0} has no boot loader entry; stage the update again")]
    MergeDeploymentMissing(DeploymentPath),
    /// Both the machine and the new tree have changed something, and not both can be there.
    #[error("{}", conflicts(.0))]
    Conflicts(Vec<Conflict>),
    /// Nothing to make its `/etc` from.
    #[error(
        "the staged deployment /{0} has neither etc nor usr/etc; rebuild the tree with usr/etc and stage the update again"
    )]
    NoShippedEtc(DeploymentPath),
    /// No system call takes such a path.
    #[error("cannot merge /etc: the path of the directory {0} is longer than 4,095 bytes; remove that directory")]
    EtcTooDeep(String),
    /// FAT has no links.
    #[error("/boot is a FAT filesystem, which has no symbolic links; move /boot to ext4 or XFS (the ESP can stay FAT)")]
    BootOnFat,
    /// Not enough room, even without what is going away.
    #[error(
        "No space left on device: /boot has {available} bytes free, this update frees {freed}, but the kernel and initramfs of /{deployment} need {needed}; remove your own files from /boot, or an old deployment: `ostree admin undeploy INDEX`"
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
    #[error(
        "{holder} holds the sysroot lock (waited {seconds} s); the update was not applied; after a reboot, stage it again"
    )]
    Locked {
        /// How long.
        seconds: u64,
        /// Who.
        holder: String,
    },
    /// Another program has to finalize, and is not there.
    #[error("{reason}: ostree must finalize this update, but {program} cannot be executed; install ostree")]
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
    text + "both changed; keep one: rename or adapt yours; to check: `/usr/lib/ostree/ostree-finalize-staged --prepare`"
}
