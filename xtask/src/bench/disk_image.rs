//! An ext4 filesystem on a loop device: what a disk costs is part of what is measured.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::workspace::run;

/// A mounted image, empty at first; unmounted and removed when dropped.
#[derive(Debug)]
pub(crate) struct DiskImage {
    directory: TempDir,
}

impl DiskImage {
    /// Makes it.
    pub(crate) fn new() -> Result<DiskImage> {
        let directory = tempfile::Builder::new().prefix("firstroot-bench-").tempdir().context("making a directory")?;
        let disk = DiskImage { directory };
        let image = disk.directory.path().join("disk.img");
        std::fs::create_dir(disk.mounted_at()).context("making a mount point")?;
        run(Command::new("truncate").args(["--size", "64M"]).arg(&image))?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&image).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(disk.mounted_at()))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub(crate) fn mounted_at(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }
}

impl Drop for DiskImage {
    fn drop(&mut self) {
        // What cannot be unmounted now goes with the mount namespace.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.mounted_at()));
    }
}
