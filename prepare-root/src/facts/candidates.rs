//! Deployments that may have been meant by a boot link that is missing.

use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::DeploymentPath;
use rustix::io::Errno;

/// What was found while looking for the deployment that a missing boot link meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The link that is missing.
    pub(crate) link: Bootlink,
    /// Deployments of its stateroot that have a kernel with its bootcsum.
    pub(crate) with_that_kernel: Vec<DeploymentPath>,
    /// Deployments of which nobody knows, with the reason: any of them may be the one that was meant.
    pub(crate) unknown: Vec<(DeploymentPath, Errno)>,
    /// Where the link of the same name under the other bootversion leads, if it is there.
    pub(crate) under_other_bootversion: Option<DeploymentPath>,
    /// `ostree/boot.N` of the link is there, and only the link is missing.
    pub(crate) set_exists: bool,
    /// The other one is there.
    pub(crate) other_set_exists: bool,
}
