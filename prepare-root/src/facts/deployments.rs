//! The deployments on the disk, as a person counts and calls them.

use ostree_formats::deployment::{DeploymentPath, Stateroot};
use rustix::io::Errno;

/// A path on the physical root, and why it could not be read.
pub(crate) type Unread = (String, Errno);

/// A deployment, with what its commit says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedDeployment {
    pub(crate) path: DeploymentPath,
    /// `version` of its commit.
    pub(crate) version: Option<String>,
    /// When its commit was made, in seconds since 1970.
    pub(crate) time: Option<u64>,
}

/// All deployments of all stateroots. The number of a deployment is its index: first those that boot loader entries name, in the
/// order of the menu (as `ostree admin status` counts); then the others, the newest commit first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Deployments {
    pub(crate) list: Vec<ListedDeployment>,
    /// Directories that could not be listed: there may be more deployments.
    pub(crate) unlisted: Vec<Unread>,
    /// Entries and commits that could not be read: the order and the versions are uncertain.
    pub(crate) unread: Vec<Unread>,
}

/// Where a deployment may be chosen from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Scope {
    /// The stateroot that `ostree=` names.
    Stateroot(Stateroot),
    /// `ostree=` names none: the disk must have only one.
    #[default]
    OnlyStateroot,
    /// All of them: nothing is booted.
    Any,
}
