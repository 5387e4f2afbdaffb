//! What was found on the physical root, as values: a plan can be made, compared and printed without a disk.

mod attempts;
mod caller;
mod candidates;
mod deployments;
mod image;
pub(crate) mod init;
mod path_kind;

use ostree_formats::deployment::DeploymentPath;
use serde::Serialize;

pub(crate) use attempts::{Attempts, Fallback, Lists};
pub(crate) use caller::{Caller, SystemdMode};
pub(crate) use candidates::Candidates;
pub(crate) use deployments::{Deployments, ListedDeployment, Scope, Unread};
pub(crate) use image::{IMAGE, ImageFacts, Lack, Seal, SignatureFacts};
pub(crate) use path_kind::PathKind;

/// On the physical root: the configuration of its repository.
pub(crate) const REPO_CONFIG: &str = "ostree/repo/config";

/// The deployment directory, before anything is mounted over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) struct DeploymentFacts {
    /// Where it is.
    #[cfg_attr(test, serde(deserialize_with = "path_from_text"))]
    pub(crate) path: DeploymentPath,
    /// `st_dev`.
    pub(crate) device: u64,
    /// `st_ino`.
    pub(crate) inode: u64,
    pub(crate) usr: PathKind,
    pub(crate) etc: PathKind,
    pub(crate) sysroot: PathKind,
    pub(crate) var: PathKind,
    pub(crate) boot: PathKind,
    /// Only looked up if `/etc` will be transient.
    pub(crate) usr_etc: PathKind,
    /// Only looked up as PID 1.
    pub(crate) dev: PathKind,
    /// Only looked up as PID 1.
    pub(crate) run: PathKind,
    /// `sbin/init`, links followed; only looked up as PID 1.
    pub(crate) init: bool,
    /// `.usr-ovl-work`: `ostree admin unlock --hotfix` made it.
    pub(crate) hotfix_work: PathKind,
    /// `.usr-ovl-upper`.
    pub(crate) hotfix_upper: PathKind,
}

/// Everything that a plan depends on, except configuration and kernel command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Facts {
    #[serde(rename = "situation")]
    pub(crate) caller: Caller,
    /// Where the physical root is mounted.
    pub(crate) sysroot: String,
    /// The physical root, or its mount, is read-only now.
    pub(crate) sysroot_read_only: bool,
    /// `boot/loader` on the physical root is a symbolic link: `/boot` is on the same filesystem.
    pub(crate) boot_loader_link: bool,
    /// Legacy `[sysroot] readonly` in `ostree/repo/config`; only read if the configuration does not decide it.
    pub(crate) repo_readonly: bool,
    /// What is wrong with that file, if it is damaged.
    pub(crate) repo_problem: Option<String>,
    /// `/run/ostree/initramfs-mount-var` exists.
    pub(crate) var_marker: bool,
    /// With systemd, `/var` is mounted after the switch of the root: by `/etc/fstab`, or by libostree's generator, which takes the
    /// stateroot from the requested path. For an Android slot it only reads the text of the link.
    pub(crate) var_mounted_later: bool,
    /// A script calls, and the init that it starts is a systemd that mounts `/var` and (with newer libostree) `/boot`. Only looked up
    /// if no option decides.
    pub(crate) init_mounts_later: bool,
    /// The stateroot's `var`.
    pub(crate) stateroot_var: PathKind,
    /// As PID 1: the kernel mounted a devtmpfs on `/dev`.
    pub(crate) dev_mounted: bool,
    /// The block device of the physical root, if any; only looked up with an image.
    pub(crate) disk: Option<u64>,
    pub(crate) image: ImageFacts,
    /// Only if a signature is demanded.
    pub(crate) signature: Option<SignatureFacts>,
    pub(crate) deployment: DeploymentFacts,
}

impl Facts {
    /// Whether systemd mounts `/var` and (with newer libostree) `/boot` after the switch of the root.
    pub(crate) fn systemd_follows(&self) -> bool {
        match self.caller {
            Caller::Systemd => true,
            Caller::Script => self.init_mounts_later,
            Caller::Pid1 => false,
        }
    }
}

#[cfg(test)]
fn path_from_text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DeploymentPath, D::Error> {
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}
