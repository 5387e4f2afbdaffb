//! Why the kernel of a deployment is unknown.

use ostree_formats::bootlink::Bootcsum;
use ostree_formats::deployment::DeploymentPath;
use system::SystemError;

/// Why the kernel of a deployment is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
    /// The deployment has no kernel.
    #[error("/{0} has no kernel in usr/lib/modules, usr/lib/ostree-boot or boot")]
    Missing(DeploymentPath),
    /// The names of an older layout have different checksums.
    #[error("/{deployment}: {one} and {other} have different checksums in their names")]
    Mismatch {
        /// Whose.
        deployment: DeploymentPath,
        /// A file.
        one: String,
        /// Another one.
        other: String,
    },
    /// Several kernels are possible. libostree takes the one that the filesystem lists first, which may differ between machines.
    #[error(
        "/{deployment} has several kernels, and no boot link or staged data says which one boots: {}; rebuild the tree with one kernel",
        .candidates.join(", ")
    )]
    Several {
        /// Whose.
        deployment: DeploymentPath,
        /// Their paths in the deployment.
        candidates: Vec<String>,
    },
    /// The kernel that the deployment was deployed with is damaged or missing.
    #[error(
        "/{deployment} has several kernels, but none has the checksum {wanted} of its boot links: {}; the disk is damaged: check it (`ostree fsck`) and deploy again",
        .candidates.join(", ")
    )]
    NotOnRecord {
        /// Whose.
        deployment: DeploymentPath,
        /// The bootcsum on record.
        wanted: Bootcsum,
        /// Their paths in the deployment.
        candidates: Vec<String>,
    },
    /// The files do not match the bootcsum.
    #[error(
        "kernel and initramfs of /{deployment} have the checksum {found}, but {wanted} was staged: {}",
        why_damaged(.absolute_link)
    )]
    Damaged {
        /// Whose.
        deployment: DeploymentPath,
        /// Of the files.
        found: String,
        /// As staged.
        wanted: Bootcsum,
        /// An absolute link among its device trees, which may be the reason.
        absolute_link: Option<Box<str>>,
    },
}

fn why_damaged(absolute_link: &Option<Box<str>>) -> String {
    const DAMAGED: &str = "the disk is damaged; check it (`ostree fsck`) and stage the update again";
    match absolute_link {
        None => DAMAGED.to_owned(),
        Some(link) => format!(
            "{link} is an absolute link, which libostree resolved in the running system instead of the deployment: rebuild the \
             tree with relative links in dtb/. If the link is not the cause, {DAMAGED}"
        ),
    }
}
