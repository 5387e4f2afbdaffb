//! A disk image as a disk: what is read from it and written to it passes no second cache.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::Volume;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use qemu_tests::host;

use crate::workspace::run;

/// What is in memory when something begins that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// All files of the disk that it reads.
    Warm,
    /// Nothing of the disk, neither in the cache of its filesystem nor in that of its image.
    Cold,
}

/// A loop device that reads its image directly. One that goes through the page cache takes a request only when the one before is
/// done, as no disk does, and reads ahead in the image what nobody asked for.
pub(crate) struct Disk {
    device: PathBuf,
}

impl Disk {
    /// Attaches it. Nothing of the image is left to be written, and if it is to be cold, to be read from memory.
    pub(crate) fn of(image: &Path, memory: Memory) -> Result<Disk> {
        let file = File::open(image).with_context(|| format!("opening {}", image.display()))?;
        file.sync_all().with_context(|| format!("writing out {}", image.display()))?;
        if memory == Memory::Cold {
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).context("emptying the cache")?;
        }
        let mut losetup = losetup();
        losetup.args(["--find", "--show", "--direct-io=on"]).arg(image);
        let output = losetup.output()?;
        let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(
            output.status.success() && !device.is_empty(),
            "losetup --direct-io=on {}: {}",
            image.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(Disk { device: PathBuf::from(device) })
    }

    /// The device.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// What a machine mounts.
    pub(crate) fn volume(&self) -> Volume {
        Volume { image: self.device.clone(), options: "rw".to_owned() }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What cannot be detached now is when the last mount goes.
        let _ = run(losetup().arg("--detach").arg(&self.device));
    }
}

fn losetup() -> Command {
    let mut command = Command::new("losetup");
    command.env("PATH", host::PATH);
    command
}
