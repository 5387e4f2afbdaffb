//! Advice for a new root without a usable init.

use rustix::io::Errno;

use super::advice::{DEPLOY_AGAIN, REMOVE_ARGUMENT, SEAL, WITHOUT_IMAGE};
use crate::failed::cause::InitError;
use crate::plan::composefs::AtBootMenu;

/// Whether the kernel refused to read a file because it must be sealed and is not.
pub(super) fn is_about_seals(error: &InitError, sealed: bool) -> bool {
    sealed && error.is_of_the_disk()
}

pub(super) fn likely_cause(error: &InitError, sealed: bool) -> &'static str {
    match error {
        InitError::Missing(_) | InitError::Named { .. } => "the tree has no init system, or the deployment is damaged",
        InitError::Unreadable { .. } if is_about_seals(error, sealed) => {
            "fs-verity is required ([composefs] enabled), but the object of this file is not sealed, or the kernel or the \
             filesystem has no fs-verity"
        }
        InitError::Unreadable { reason: Errno::NOENT, .. } => "the tree lacks a package, or the deployment is damaged",
        InitError::Unreadable { .. } => "the disk fails, or the deployment is damaged",
    }
}

pub(super) fn what_to_do(error: &InitError, sealed: bool, at_boot_menu: AtBootMenu) -> Vec<&'static str> {
    match error {
        InitError::Missing(_) | InitError::Named { .. } => {
            vec!["boot another entry and deploy a tree that has /sbin/init or systemd"]
        }
        InitError::Unreadable { .. } if is_about_seals(error, sealed) => match at_boot_menu {
            AtBootMenu::Nothing => vec![SEAL],
            AtBootMenu::SwitchOff => vec![SEAL, WITHOUT_IMAGE],
            AtBootMenu::RemoveArgument => vec![REMOVE_ARGUMENT, SEAL],
        },
        InitError::Unreadable { .. } => vec![DEPLOY_AGAIN],
    }
}
