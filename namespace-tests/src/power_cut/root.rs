//! The disk as the kernel mounts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::command::run;
use qemu_tests::host;
use qemu_tests::mounted::Mounted;

use super::layout::{Layout, Partition};
use super::views;
use crate::finalize::{Filesystem, Listing, listing_below};

/// Physical root and `/boot`, mounted: journals are replayed.
pub(super) struct MountedDisk {
    root: Mounted,
    boot: Option<Mounted>,
}

impl MountedDisk {
    /// Mounts it below `directory`.
    pub(super) fn mount(disk: &Path, layout: &Layout, directory: &Path) -> Result<MountedDisk> {
        let path = directory.join("mnt");
        fs::create_dir_all(&path).context("making a mount point")?;
        let mut volumes = layout.volumes(disk).into_iter();
        let volume = volumes.next().context("no physical root")?;
        let root = Mounted::at(&volume.image, &volume.options, &path)?;
        let boot = volumes.next().map(|volume| Mounted::at(&volume.image, &volume.options, &path.join("boot")));
        Ok(MountedDisk { root, boot: boot.transpose()? })
    }

    pub(super) fn root(&self) -> Root {
        Root { path: self.root.path().to_path_buf() }
    }

    /// Of the partition that `/boot` is on.
    pub(super) fn view(&self) -> views::Mounted {
        views::Mounted { partition: self.boot.as_ref().unwrap_or(&self.root).path().to_path_buf() }
    }

    pub(super) fn unmount(self) -> Result<()> {
        if let Some(boot) = self.boot {
            boot.unmount()?;
        }
        self.root.unmount()
    }
}

/// The physical root.
pub(super) struct Root {
    path: PathBuf,
}

impl Root {
    /// Where it is mounted.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a boot link leads, from the physical root.
    pub(super) fn deployment(&self, link: &str) -> Result<String> {
        let place = self.path.join(link.trim_start_matches('/'));
        let place = fs::canonicalize(&place).with_context(|| format!("following {link}"))?;
        let inside =
            place.strip_prefix(fs::canonicalize(&self.path)?).with_context(|| format!("{link} leads outside"))?;
        Ok(inside.to_string_lossy().into_owned())
    }

    /// What the next boot is told of the shutdown before it, if anything.
    pub(super) fn stamp(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("boot/ostree/finalize-failure.stamp")).ok()
    }

    /// Everything in a deployment, and its origin.
    pub(super) fn listing(&self, deployment: &str) -> Result<Listing> {
        let mut listing = listing_below(&self.path, Path::new(deployment))?;
        listing.extend(listing_below(&self.path, Path::new(&format!("{deployment}.origin")))?);
        Ok(listing)
    }
}

/// What is wrong with the filesystems of a disk that is not mounted.
pub(super) fn check_filesystems(disk: &Path, layout: &Layout) -> Result<()> {
    layout.partitions.iter().try_for_each(|partition| check_filesystem(disk, partition))
}

fn check_filesystem(disk: &Path, partition: &Partition) -> Result<()> {
    let Partition { filesystem, offset, size } = partition;
    let device = run(Command::new("losetup")
        .args(["--find", "--show", "--read-only", &format!("--offset={offset}"), &format!("--sizelimit={size}")])
        .arg(disk))?;
    let mut command = match filesystem {
        Filesystem::Ext4 => Command::new("e2fsck"),
        Filesystem::Xfs => Command::new("xfs_repair"),
        Filesystem::Btrfs => Command::new("btrfs"),
    };
    match filesystem {
        Filesystem::Ext4 => command.args(["-f", "-n"]),
        Filesystem::Xfs => command.arg("-n"),
        Filesystem::Btrfs => command.args(["check", "--readonly"]),
    };
    let checked = run(command.arg(device.trim()).env("PATH", host::PATH));
    run(Command::new("losetup").args(["--detach", device.trim()]))?;
    checked.map(drop)
}
