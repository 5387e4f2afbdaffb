//! Why a deployment is not finalized, in one line for whoever reads the journal.

use ostree_formats::bls::BlsError;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::keyfile::KeyfileError;
use ostree_formats::repo_config::RepoConfigError;
use ostree_formats::staged_state::StagedStateError;
use ostree_sysroot::kernel_layout::KernelError;
use system::SystemError;

use crate::etc_merge::plan::Conflict;

/// Anything that stops finalization before the swap. After it there are only warnings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// `/run/ostree-booted` is not there.
    #[error(
        "this system was not booted from an OSTree deployment (there is no /run/ostree-booted): nothing can be finalized"
    )]
    NotBooted,
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
    /// A link that must be one of two is something else.
    #[error("{link} {found}; it must be a link to {wanted}: this sysroot is damaged, or of an unknown version")]
    VersionLink {
        /// Its path.
        link: String,
        /// What is there.
        found: String,
        /// Both possible targets.
        wanted: String,
    },
    /// A link that every libostree from upstream makes is something else.
    #[error("{link} is no link: this sysroot has a layout that firstroot does not know")]
    UnknownLayout {
        /// Its path.
        link: String,
    },
    /// What a prepared soft reboot has written.
    #[error(
        "{path} is damaged: {reason}; the deployment of the prepared soft reboot is not known. Remove that file, or reboot"
    )]
    NextRoot {
        /// The file.
        path: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What should be at `/boot` is not.
    #[error(
        "nothing is mounted at /boot, and the directory there has no loader: mount the filesystem that the boot loader reads (mount /boot); an update that was staged before a reboot has to be staged again"
    )]
    BootNotMounted,
    /// A boot loader entry of ours that cannot be read.
    #[error("cannot read the boot loader entry {path}: {reason}; repair or remove it")]
    Entry {
        /// Its path.
        path: String,
        /// Why.
        reason: BlsError,
    },
    /// The repository's configuration.
    #[error("/ostree/repo/config: {0}")]
    RepoConfig(#[from] RepoConfigError),
    /// The origin of a deployment.
    #[error("the origin file {path}: {reason}; repair it, or undeploy what it belongs to")]
    Origin {
        /// Its path.
        path: String,
        /// Why.
        reason: KeyfileError,
    },
    /// What runs is in no entry: a list without it could be written, and must not.
    #[error(
        "no boot loader entry leads to the deployment that is booted; /{links} and /boot/loader are out of step: repair them first"
    )]
    BootedNotListed {
        /// The current set of boot links.
        links: String,
    },
    /// The staged deployment is not on the disk.
    #[error("the staged deployment /{0} is not there: stage it again")]
    TargetMissing(DeploymentPath),
    /// Whose `/etc` is to be carried over is not in the list.
    #[error("the deployment /{0}, whose /etc was to be carried over, has no boot loader entry: stage the update again")]
    MergeDeploymentMissing(DeploymentPath),
    /// What a deployment boots with is missing, damaged, or not known.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A menu needs a text.
    #[error(
        "/{0} has no PRETTY_NAME and no ID in usr/lib/os-release or etc/os-release, so its boot loader entry would have no title"
    )]
    NoTitle(DeploymentPath),
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
    /// An overlay initrd that was staged.
    #[error(
        "the overlay initrd {0} is neither in /run/ostree/staged-initrds nor in /boot/ostree/initramfs-overlays: stage the update again"
    )]
    OverlayMissing(String),
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
