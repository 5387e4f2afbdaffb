//! Why a deployment is not finalized, in one line for the journal.

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedStateError;
use ostree_sysroot::SysrootError;
use system::SystemError;

use crate::etc_merge::conflict::Conflict;

/// An error stops finalization before the swap. After the swap there are only warnings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The disk cannot be read, or is damaged.
    #[error(transparent)]
    Sysroot(SysrootError),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The caller is not root.
    #[error("finalization needs root; without root, use --plan")]
    NotRoot,
    /// The content of `/run/ostree/staged-deployment` is damaged.
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
    /// The deployment whose `/etc` is merged is not in the list.
    #[error("cannot merge /etc: /{0} has no boot loader entry; stage the update again")]
    MergeDeploymentMissing(DeploymentPath),
    /// The machine and the new tree have changed the same name, and only one of the two can exist.
    #[error("{}", conflicts(.0))]
    Conflicts(Vec<Conflict>),
    /// The tree has nothing to make `/etc` from.
    #[error(
        "the staged deployment /{0} has neither etc nor usr/etc; rebuild the tree with usr/etc and stage the update again"
    )]
    NoShippedEtc(DeploymentPath),
    /// A path is too long for every system call.
    #[error("cannot merge /etc: the path of the directory {0} is longer than 4,095 bytes; remove that directory")]
    EtcTooDeep(String),
    /// FAT has no symbolic links.
    #[error("/boot is a FAT filesystem, which has no symbolic links; move /boot to ext4 or XFS (the ESP can stay FAT)")]
    BootOnFat,
    /// The SELinux policy cannot be built, and the configuration says that this is an error.
    #[error(
        "{0}; [selinux] on-refresh-failure=fail forbids to go on without it: mend or remove the module, or set it to warn"
    )]
    Policy(String),
    /// The ESP that boots this machine cannot take the update.
    #[error(
        "{0}; the update was not applied, since this machine boots from the ESP; more: `firstroot esp sync --dry-run`"
    )]
    Esp(String),
    /// An initrd would be loaded beside it, and its stub refuses that.
    #[error(
        "/{0} has overlay initrds, and its kernel is an image with an initramfs in it, which loads no other one: build them into the image, \
         or deploy without --overlay-initrd"
    )]
    OverlayWithUnifiedKernel(DeploymentPath),
    /// The same for an image beside its kernel, which the ESP would boot.
    #[error("{0}")]
    OverlayWithImage(String),
    /// Which one the ESP would boot is not known.
    #[error("{0}")]
    SeveralImages(String),
    /// `[rollback] refuse=yes`.
    #[error(
        "/{target} is the update /{from}, which did not come up and was rolled back; it is not installed again, since esp.conf(5) says \
         [rollback] refuse=yes; to allow it: `firstroot esp forget {digits}`", digits = from.digits()
    )]
    RolledBack {
        /// What is staged.
        target: DeploymentPath,
        /// What was rolled back.
        from: DeploymentPath,
    },
    /// The ESP is too full.
    #[error(
        "No space left on device: {0}; remove your own files from the ESP, or an old deployment: `ostree admin undeploy INDEX`"
    )]
    EspFull(String),
    /// There is not enough room, even after unused files are removed.
    #[error(
        "No space left on device: /boot has {available} bytes free, this update frees {freed}, but the kernel and initramfs of /{deployment} need {needed}; remove your own files from /boot, or an old deployment: `ostree admin undeploy INDEX`"
    )]
    BootFull {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
        /// Bytes that removing the replaced deployments frees.
        freed: u64,
        /// The new deployment.
        deployment: DeploymentPath,
    },
    /// Another program holds the lock of the sysroot.
    #[error(
        "{holder} holds the sysroot lock (waited {seconds} s); the update was not applied; after a reboot, stage it again"
    )]
    Locked {
        /// The time that was waited.
        seconds: u64,
        /// Name and process ID of the program.
        holder: String,
    },
    /// `ostree` has to finalize, but is not installed.
    #[error("{reason}: ostree must finalize this update, but {program} cannot be executed; install ostree")]
    NobodyToHandOverTo {
        /// Why firstroot does not finalize.
        reason: String,
        /// The path of `ostree`.
        program: &'static str,
    },
    /// `ostree` could not be started.
    #[error("cannot execute {program}: {reason}")]
    HandOver {
        /// The path of `ostree`.
        program: &'static str,
        /// The error of the system call.
        reason: rustix::io::Errno,
    },
}

impl From<SysrootError> for Error {
    // Not inlined at every `?`: that makes the program 3 KB larger.
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
    text + "both changed; keep one: rename or adapt yours; to check: `/usr/lib/firstroot/ostree-finalize-staged --prepare`"
}
