//! What no entry and no boot link leads to any more, and is removed: pure.

use std::collections::BTreeSet;

use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config::Bootloader;
use ostree_sysroot::Sysroot;
use ostree_sysroot::boot_names::{COPY_OF_OSTREE, NEW_STAMP, is_kernel_directory, is_prepared, overlay_file};
use ostree_sysroot::booted::Identity;
use ostree_sysroot::foreign_file::{ForeignEntry, ForeignFile};
use ostree_sysroot::leftovers::Leftovers;

use super::list::ListedDeployment;

/// What is current after the swap.
#[derive(Debug, Clone)]
pub struct Current {
    /// `boot/loader`.
    pub bootversion: BootVersion,
    /// `ostree/boot.N`.
    pub subbootversion: BootVersion,
    /// The list.
    pub list: Vec<ListedDeployment>,
    /// Names in `boot/ostree` that entries of others use: they stay.
    pub named_by_others: NamedInBoot,
    /// The list may lack a deployment that is in use. Then no deployment and no kernel is removed.
    pub is_incomplete: bool,
    /// The boot loader that is configured.
    pub bootloader: Bootloader,
    /// Device and inode of the deployment that a prepared soft reboot has mounted.
    pub next_root: Option<Identity>,
}

/// What is removed, in this order: paths relative to the physical root, or to `/boot`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// In `/boot`.
    pub boot: Vec<String>,
    /// On the physical root.
    pub sysroot: Vec<String>,
}

/// Names in `boot/ostree` that kept entries use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedInBoot {
    /// `STATEROOT-BOOTCSUM`, `initramfs-overlays/CHECKSUM.img`.
    names: BTreeSet<String>,
    /// An entry could not be read: it may contain any name.
    pub is_incomplete: bool,
}

impl Current {
    /// The state after `list` is activated with this bootversion and subbootversion.
    pub fn new(
        sysroot: &Sysroot,
        bootversion: BootVersion,
        subbootversion: BootVersion,
        list: Vec<ListedDeployment>,
    ) -> Self {
        let is_listed = |path: &DeploymentPath| list.iter().any(|listed| listed.deployment.path == *path);
        Self {
            bootversion,
            subbootversion,
            named_by_others: NamedInBoot::by(&sysroot.foreign, is_listed),
            list,
            is_incomplete: sysroot.is_incomplete,
            bootloader: sysroot.config.bootloader,
            next_root: sysroot.next_root,
        }
    }

    /// The state with another list of the active bootversion.
    pub fn with(sysroot: &Sysroot, list: Vec<ListedDeployment>) -> Self {
        Self::new(sysroot, sysroot.bootversion, sysroot.subbootversion, list)
    }
}

impl NamedInBoot {
    /// The names in those entries that stay; `is_listed` tells which deployments stay.
    pub fn by(foreign: &[ForeignFile], is_listed: impl Fn(&DeploymentPath) -> bool) -> Self {
        let entries = foreign.iter().filter_map(|foreign| foreign.entry.as_ref());
        let stays = |entry: &&ForeignEntry| entry.leads_to.as_ref().is_none_or(|(_, deployment)| is_listed(deployment));
        let mut named = Self::default();
        for entry in entries.filter(stays) {
            named.is_incomplete |= entry.is_unread;
            named.names.extend(entry.names.iter().cloned());
        }
        named
    }

    /// Whether a kept entry names this path in `boot/ostree`, or may name it.
    pub fn has(&self, path: &str) -> bool {
        self.is_incomplete || self.names.contains(path)
    }
}

/// Decides what is removed.
pub fn removals(found: &Leftovers, current: &Current) -> Removals {
    let (mut listed, mut kernels, mut overlays) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    // One by one: `collect` would sort, and each type that is sorted takes 5 KB of the program.
    for one in &current.list {
        listed.insert(one.deployment.path.clone());
        kernels.insert(one.kernel_directory());
        one.deployment.overlay_initrds.iter().map(overlay_file).for_each(|file| {
            overlays.insert(file);
        });
    }
    let (n, s) = (current.bootversion, current.subbootversion);
    let other = n.other();

    let mut removals = Removals::default();
    let old_loader = ["loader.tmp".to_owned(), format!("loader.{other}"), COPY_OF_OSTREE.to_owned()];
    removals.boot.extend(found.boot.iter().filter(|name| old_loader.contains(name)).cloned());
    let grub = &found.needed_by_grub;
    let is_incomplete = current.is_incomplete || grub.unread.is_some();
    let may_be_used =
        |path: &str| is_incomplete || current.named_by_others.has(path) || grub.in_boot_ostree.contains(path);
    let unused = |name: &&String| {
        let interrupted = name.strip_suffix(".new").is_some_and(is_kernel_directory);
        is_prepared(name)
            || interrupted
            || *name == NEW_STAMP
            || (is_kernel_directory(name) && !kernels.contains(*name) && !may_be_used(name))
    };
    removals.boot.extend(found.boot_ostree.iter().filter(unused).map(|name| format!("ostree/{name}")));
    let overlay = |name: &String| format!("initramfs-overlays/{name}");
    let unused = |name: &&String| {
        let interrupted = name.starts_with('.') && name.ends_with(".img.new");
        let used = || overlays.contains(&overlay(name)) || may_be_used(&overlay(name));
        interrupted || (name.ends_with(".img") && !used())
    };
    removals.boot.extend(found.overlays.iter().filter(unused).map(|name| format!("ostree/{}", overlay(name))));

    let mut old_links = vec![format!("boot.{n}.tmp"), format!("boot.{other}.tmp"), format!("boot.{n}.{}", s.other())];
    if grub.unread.is_none() && !grub.bootversions.contains(&other) {
        old_links.extend([format!("boot.{other}"), format!("boot.{other}.0"), format!("boot.{other}.1")]);
    }
    removals
        .sysroot
        .extend(found.ostree.iter().filter(|name| old_links.contains(name)).map(|name| format!("ostree/{name}")));
    removals.sysroot.extend(found.current.iter().cloned());
    let goes = |path: &&DeploymentPath| !is_incomplete && !listed.contains(path) && !grub.deployments.contains(*path);
    for path in found.deployments.iter().filter(goes) {
        // The origin is removed last: it marks a deployment that is removed only in part.
        removals.sysroot.extend([path.to_string(), path.origin_file()]);
    }
    let unused = found.backing.iter().filter(goes);
    removals.sysroot.extend(unused.map(|path| format!("ostree/deploy/{}/backing/{}", path.stateroot, path.id)));
    removals
}

#[cfg(test)]
mod tests;
