//! Why a disk cannot be read, in one line for the journal.

use ostree_formats::bls::BlsError;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::keyfile::KeyfileError;
use ostree_formats::repo_config::RepoConfigError;
use system::SystemError;

use crate::kernel_layout::KernelError;

/// What is on the disk is damaged, of an unknown kind, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SysrootError {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// `/run/ostree-booted` is not there.
    #[error("this is not a booted OSTree system (there is no /run/ostree-booted)")]
    NotBooted,
    /// A link has none of its two possible targets.
    #[error("{link} {found}, but must be a link to {wanted}: the sysroot is damaged, or has an unknown layout")]
    VersionLink {
        /// Its path.
        link: String,
        /// What was found instead.
        found: String,
        /// Both possible targets.
        wanted: String,
    },
    /// The place of a link that upstream's libostree makes has another kind of file.
    #[error("{link} is not a link: firstroot does not know this layout")]
    UnknownLayout {
        /// Its path.
        link: String,
    },
    /// The file of a prepared soft reboot is damaged.
    #[error(
        "{path} is damaged: {reason}; the deployment of the prepared soft reboot is unknown: reboot, or: rm {path}"
    )]
    NextRoot {
        /// The file.
        path: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The filesystem of `/boot` is not mounted.
    #[error("/boot is not mounted and has no loader: mount it (`mount /boot`). After a reboot, stage the update again")]
    BootNotMounted,
    /// An entry with one of libostree's names cannot be read.
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
    #[error("the origin file {path}: {reason}; repair it, or remove its deployment: `ostree admin undeploy INDEX`")]
    Origin {
        /// Its path.
        path: String,
        /// Why.
        reason: KeyfileError,
    },
    /// No entry leads to the booted deployment. A new list would lack it.
    #[error(
        "no boot loader entry leads to the booted deployment: boot links (/{links}) and entries (/boot/loader) do not match; if this boot was recovered, repair them: sed -n 's/^repair=//p' /run/ostree/recovered-boot | sh -e"
    )]
    BootedNotListed {
        /// The current set of boot links.
        links: String,
    },
    /// The kernel of a deployment is missing, damaged or unknown.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// An entry needs a title.
    #[error(
        "/{0} has neither PRETTY_NAME nor ID in usr/lib/os-release or etc/os-release, so its entry would have no title; rebuild the tree with os-release"
    )]
    NoTitle(DeploymentPath),
    /// A staged overlay initrd does not exist.
    #[error(
        "the overlay initrd {0} is neither in /run/ostree/staged-initrds nor in /boot/ostree/initramfs-overlays: stage the update again"
    )]
    OverlayMissing(String),
}
