//! Writes the list that an initramfs can make the active one. See [`crate::plan::older_list`].

use ostree_formats::boot_attempts::OLDER_LIST;
use ostree_sysroot::Roots;
use selinux_policy::Labels;
use system::{Context, SystemError, sync, tree};

use super::labels;
use crate::loader::links;
use crate::plan::BootPlan;

/// Writes it, durably. Nothing may lead to it meanwhile.
///
/// # Errors
/// A file cannot be written.
pub fn write(roots: &Roots, labels: &Labels, plan: &BootPlan) -> Result<(), SystemError> {
    links::write_list(roots, plan, OLDER_LIST)?;
    labels::label_list(roots, labels, OLDER_LIST);
    sync::filesystem(&roots.boot).context("sync", "/boot")
}

/// Removes it. Nothing may lead to it any more.
///
/// # Errors
/// As unlink(2).
pub fn remove(roots: &Roots) -> Result<(), SystemError> {
    tree::remove(&roots.boot, OLDER_LIST.as_bytes()).context("remove", format_args!("/boot/{OLDER_LIST}"))
}
