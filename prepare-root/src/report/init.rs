//! The report of a root that was put together, and that the boot cannot go on with.

use rustix::io::Errno;

use super::DEPLOY_AGAIN;
use crate::failure::InitError;

const SEAL: &str = "boot an older entry; on ext4 with the feature `verity` and a kernel with CONFIG_FS_VERITY, set \
     ex-integrity.fsverity=yes in ostree/repo/config, run `ostree admin post-copy`, and deploy again";
const WITHOUT_IMAGE: &str = "to boot this entry with nothing verified: ostree.prepare-root.composefs=no at the boot menu, unless \
     [composefs] kernel-argument forbids that";

pub(super) fn likely_cause(error: &InitError, sealed: bool) -> &'static str {
    match error {
        InitError::Missing(_) => "the tree has no init system, or the deployment is damaged",
        InitError::Unreadable { .. } if sealed => {
            "fs-verity is demanded ([composefs] enabled), and the file of this object in ostree/repo/objects is not sealed, or \
             the kernel or the filesystem has no fs-verity: then no file of the image can be read"
        }
        InitError::Unreadable { reason: Errno::NOENT, .. } => "the tree lacks a package, or the deployment is damaged",
        InitError::Unreadable { .. } => "the disk fails, or the deployment is damaged",
    }
}

pub(super) fn what_to_do(error: &InitError, sealed: bool) -> Vec<&'static str> {
    match error {
        InitError::Missing(_) => vec!["boot another entry, and deploy a tree that has /sbin/init or systemd"],
        InitError::Unreadable { .. } if sealed => vec![SEAL, WITHOUT_IMAGE],
        InitError::Unreadable { .. } => vec![DEPLOY_AGAIN],
    }
}
