//! The report of a root that was put together, and that the boot cannot go on with.

use rustix::io::Errno;

use super::advice::{DEPLOY_AGAIN, REMOVE_ARGUMENT, WITHOUT_IMAGE};
use crate::failed::cause::InitError;
use crate::plan::composefs::AtBootMenu;

const SEAL: &str = "boot an older entry; on ext4 with the feature `verity` and a kernel with CONFIG_FS_VERITY, set \
     ex-integrity.fsverity=yes in ostree/repo/config, run `ostree admin post-copy`, and deploy again";

/// Whether it is what a file says that should be sealed and is not.
pub(super) fn is_about_seals(error: &InitError, sealed: bool) -> bool {
    sealed && error.is_of_the_disk()
}

pub(super) fn likely_cause(error: &InitError, sealed: bool) -> &'static str {
    match error {
        InitError::Missing(_) | InitError::Named { .. } => "the tree has no init system, or the deployment is damaged",
        InitError::Unreadable { .. } if is_about_seals(error, sealed) => {
            "fs-verity is demanded ([composefs] enabled), and the file of this object in ostree/repo/objects is not sealed, or \
             the kernel or the filesystem has no fs-verity: then no file of the image can be read"
        }
        InitError::Unreadable { reason: Errno::NOENT, .. } => "the tree lacks a package, or the deployment is damaged",
        InitError::Unreadable { .. } => "the disk fails, or the deployment is damaged",
    }
}

pub(super) fn what_to_do(error: &InitError, sealed: bool, at_boot_menu: AtBootMenu) -> Vec<&'static str> {
    match error {
        InitError::Missing(_) | InitError::Named { .. } => {
            vec!["boot another entry, and deploy a tree that has /sbin/init or systemd"]
        }
        InitError::Unreadable { .. } if is_about_seals(error, sealed) => match at_boot_menu {
            AtBootMenu::Nothing => vec![SEAL],
            AtBootMenu::SwitchOff => vec![SEAL, WITHOUT_IMAGE],
            AtBootMenu::RemoveArgument => vec![REMOVE_ARGUMENT, SEAL],
        },
        InitError::Unreadable { .. } => vec![DEPLOY_AGAIN],
    }
}
