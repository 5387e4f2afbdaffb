//! Disks as power cuts leave them, for tests that look at something else than the boot menu.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::command::run;
use qemu_tests::host;

use super::cuts::Cut;
use super::recording::Recording;
use super::replay::Replay;
use super::root::{MountedDisk, check_filesystems};
use crate::finalize::Filesystem;

/// Rebuilds them, one after the other.
#[derive(Debug)]
pub struct States<'a> {
    recording: &'a Recording,
    replay: Replay<'a>,
    directory: PathBuf,
}

impl<'a> States<'a> {
    /// Works in `directory`.
    pub fn of(recording: &'a Recording, directory: &Path) -> Result<States<'a>> {
        Ok(States { recording, replay: Replay::of(recording, directory)?, directory: directory.to_path_buf() })
    }

    /// Calls `look` with the physical root as the kernel mounts it after this power cut, and whether the program had succeeded before
    /// it. Checks the filesystem afterwards.
    pub fn look(&mut self, cut: Cut, look: impl FnOnce(&Path, bool) -> Result<()>) -> Result<()> {
        let layout = &self.recording.layout;
        let disk = self.directory.join("state.img");
        self.replay.cut(cut, &disk)?;
        let mounted = MountedDisk::mount(&disk, layout, &self.directory)?;
        let result = look(mounted.root().path(), cut.after >= self.recording.end);
        mounted.unmount()?;
        if layout.partitions.iter().any(|partition| partition.filesystem == Filesystem::Btrfs) {
            // Kernels before Linux 6.7 mount no older state of a filesystem that they remember.
            run(Command::new("btrfs").args(["device", "scan", "--forget"]).env("PATH", host::PATH))?;
        }
        result.and_then(|()| check_filesystems(&disk, layout)).with_context(|| format!("power cut {cut}"))
    }
}
