//! Writes the list that an initramfs can make the active one. See [`crate::plan::older_list`].

use ostree_formats::boot_attempts::OLDER_LIST;
use ostree_sysroot::Roots;
use ostree_sysroot::boot_loader::GrubConfig;
use selinux_policy::Labels;
use system::{Context, SystemError, tree};

use super::{durability, kept_files, labels};
use crate::loader::links;
use crate::plan::BootPlan;

/// Writes it, durably. Nothing may lead to it meanwhile.
///
/// # Errors
/// A file cannot be written.
pub fn write(roots: &Roots, labels: &Labels, plan: &BootPlan) -> Result<(), SystemError> {
    links::write_list(roots, plan, OLDER_LIST)?;
    let of_grub = plan.grub.as_ref().filter(|grub| grub.config == GrubConfig::InLoader && plan.loader_file.is_none());
    if let Some(grub) = of_grub {
        // The script that GRUB starts with, and that reads the entries.
        let shown = format_args!("/boot/{OLDER_LIST}");
        let list = tree::open(&roots.boot, OLDER_LIST.as_bytes()).context("open", shown)?;
        kept_files::keep_one(roots, &list, grub.output_name())?;
    }
    labels::label_list(roots, labels, OLDER_LIST);
    durability::boot(roots).map(drop)
}

/// Removes it. Nothing may lead to it any more.
///
/// # Errors
/// As unlink(2).
pub fn remove(roots: &Roots) -> Result<(), SystemError> {
    let shown = format_args!("/boot/{OLDER_LIST}");
    if tree::look_up(&roots.boot, OLDER_LIST.as_bytes()).context("read the attributes of", shown)?.is_none() {
        return Ok(());
    }
    tree::remove(&roots.boot, OLDER_LIST.as_bytes()).context("remove", shown)?;
    durability::boot(roots).map(drop)
}
