//! A disk image as a disk: what is read from it and written to it passes no second cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use namespace_tests::finalize::Volume;
use qemu_tests::host;

use crate::workspace::run;

/// A loop device that reads its image directly. One that goes through the page cache takes a request only when the one before is
/// done, as no disk does, and reads ahead in the image what nobody asked for.
pub(crate) struct Disk {
    device: PathBuf,
}

impl Disk {
    /// Attaches it.
    pub(crate) fn of(image: &Path) -> Result<Disk> {
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
