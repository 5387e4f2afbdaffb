//! Names on the disk that may be unused.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use ostree_formats::deployment::{DeploymentId, DeploymentPath, Stateroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use crate::grub::NeededByGrub;
use crate::roots::Roots;

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

/// Reads the names.
///
/// # Errors
/// A directory cannot be listed. A directory that does not exist is empty.
pub fn find(roots: &Roots, unreadable: Unreadable) -> Result<Leftovers, SystemError> {
    let names = |root: &OwnedFd, path: &str, shown: &str| match dir::names(root, path) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        Err(Errno::ACCESS) if unreadable == Unreadable::IsEmpty => Ok(Vec::new()),
        other => other.context("list", format_args!("{shown}{path}")),
    };
    let boot = names(&roots.boot, ".", "/boot/")?;
    let boot_ostree = names(&roots.boot, "ostree", "/boot/")?;
    let overlays = names(&roots.boot, "ostree/initramfs-overlays", "/boot/")?;
    let ostree = names(&roots.sysroot, "ostree", "/sysroot/")?;
    let (mut deployments, mut backing, mut current) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for stateroot in names(&roots.sysroot, "ostree/deploy", "/sysroot/")? {
        let Ok(stateroot) = stateroot.parse::<Stateroot>() else { continue };
        let link = format!("ostree/deploy/{stateroot}/current");
        match dir::open(&roots.sysroot, &link, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd) {
            Ok(stat) if stat.kind == Kind::Link => current.push(link),
            // A file beside the stateroots is not ostree's.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error).context("read the attributes of", format_args!("/sysroot/{link}")),
        }
        for (place, list) in [("deploy", &mut deployments), ("backing", &mut backing)] {
            let path = format!("ostree/deploy/{stateroot}/{place}");
            let found = match names(&roots.sysroot, &path, "/sysroot/") {
                // A file beside the stateroots is not ostree's.
                Err(error) if error.reason == Errno::NOTDIR => continue,
                other => other?,
            };
            let ids = found
                .iter()
                .filter_map(|name| name.strip_suffix(".origin").unwrap_or(name).parse::<DeploymentId>().ok());
            list.extend(ids.map(|id| DeploymentPath { stateroot: stateroot.clone(), id }));
        }
    }
    Ok(Leftovers {
        boot,
        boot_ostree,
        overlays,
        ostree,
        deployments,
        backing,
        current,
        needed_by_grub: NeededByGrub::default(),
    })
}
