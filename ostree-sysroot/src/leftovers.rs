//! Names on the disk that may be unused.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::{DeploymentId, DeploymentPath};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use crate::grub::NeededByGrub;
use crate::roots::Roots;
use crate::stateroots;

/// The names that exist on the disk.
#[derive(Debug, Clone, Default)]
pub struct Leftovers {
    /// In `/boot`.
    pub boot: Vec<String>,
    /// In `/boot/ostree`.
    pub boot_ostree: Vec<String>,
    /// In `/boot/ostree/initramfs-overlays`.
    pub overlays: Vec<String>,
    /// In `/ostree` of the physical root.
    pub ostree: Vec<String>,
    /// Deployments with a directory, or with only an origin file, which is left if a removal was interrupted.
    pub deployments: BTreeSet<DeploymentPath>,
    /// Backing directories.
    pub backing: BTreeSet<DeploymentPath>,
    /// What GRUB still needs. [`find`] does not ask: a new list gets a new menu.
    pub needed_by_grub: NeededByGrub,
    /// Links that versions of libostree before 2014 made in each stateroot.
    pub current: Vec<String>,
}

/// How a directory without read permission is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// For a run that acts.
    IsAnError,
    /// For `--plan` without root, which prints what it can read.
    IsEmpty,
}

impl Unreadable {
    fn or_empty<T>(self, names: Result<Vec<T>, Errno>) -> Result<Vec<T>, Errno> {
        match names {
            Err(Errno::ACCESS) if self == Self::IsEmpty => Ok(Vec::new()),
            other => other,
        }
    }
}

/// Reads the names.
///
/// # Errors
/// A directory cannot be listed. A directory that does not exist is empty.
pub fn find(roots: &Roots, unreadable: Unreadable) -> Result<Leftovers, SystemError> {
    let names = |root: &OwnedFd, path: &str, shown: &str| match dir::names(root, path) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        other => unreadable.or_empty(other).context("list", format_args!("{shown}{path}")),
    };
    let boot = names(&roots.boot, ".", "/boot/")?;
    let boot_ostree = names(&roots.boot, "ostree", "/boot/")?;
    let overlays = names(&roots.boot, "ostree/initramfs-overlays", "/boot/")?;
    let ostree = names(&roots.sysroot, "ostree", "/sysroot/")?;
    Ok(Leftovers { boot, boot_ostree, overlays, ostree, ..in_stateroots(&roots.sysroot, unreadable)? })
}

/// The part of [`find`] that is in stateroots.
///
/// # Errors
/// As [`find`].
pub fn in_stateroots(sysroot: &OwnedFd, unreadable: Unreadable) -> Result<Leftovers, SystemError> {
    let mut found = Leftovers::default();
    let listed = stateroots::names(sysroot.as_fd());
    for (stateroot, kind) in unreadable.or_empty(listed).context("list", "/sysroot/ostree/deploy")? {
        if kind != Kind::Directory {
            continue;
        }
        let link = format!("ostree/deploy/{stateroot}/current");
        match dir::open(sysroot, &link, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd) {
            Ok(stat) if stat.kind == Kind::Link => found.current.push(link),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error).context("read the attributes of", format_args!("/sysroot/{link}")),
        }
        for (place, list) in [("deploy", &mut found.deployments), ("backing", &mut found.backing)] {
            let names = match stateroots::names_in(sysroot.as_fd(), &stateroot, place) {
                // It is not ostree's.
                Err(Errno::NOTDIR) => continue,
                other => unreadable.or_empty(other),
            };
            let names = names.context("list", format_args!("/sysroot/ostree/deploy/{stateroot}/{place}"))?;
            let ids = names
                .iter()
                .filter_map(|name| name.strip_suffix(".origin").unwrap_or(name).parse::<DeploymentId>().ok());
            list.extend(ids.map(|id| DeploymentPath { stateroot: stateroot.clone(), id }));
        }
    }
    Ok(found)
}
