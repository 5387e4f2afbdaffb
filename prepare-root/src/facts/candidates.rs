//! Deployments that a missing boot link may have meant.

use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::DeploymentPath;
use rustix::io::Errno;

/// The candidates for a missing boot link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The link that is missing.
    pub(crate) link: Bootlink,
    /// Deployments of its stateroot that have a kernel with its bootcsum.
    pub(crate) with_that_kernel: Vec<DeploymentPath>,
    /// Deployments that could not be checked, with the reason. Any of them may be the right one.
    pub(crate) unknown: Vec<(DeploymentPath, Errno)>,
    /// The target of the link of the same name under the other bootversion, if it exists.
    pub(crate) under_other_bootversion: Option<DeploymentPath>,
    /// `ostree/boot.N` of the link exists, and only the link is missing.
    pub(crate) set_exists: bool,
    /// `ostree/boot.N` of the other bootversion exists.
    pub(crate) other_set_exists: bool,
}
