//! Looks at what a power cut has left, as the next boot does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::command::run;
use qemu_tests::host;
use qemu_tests::mounted::Mounted;

use super::cuts::Cut;
use super::judgement::complaints;
use super::known::Known;
use super::recording::Recording;
use super::replay::Replay;
use super::views;
use crate::finalize::Filesystem;

/// A state from which a machine does not boot what it should.
#[derive(Clone, Debug, Default)]
pub struct Bad {
    /// What GRUB finds wrong, which does not replay the journal.
    pub grub: Vec<String>,
    /// What is wrong after replay.
    pub kernel: Vec<String>,
}

/// Checks the power cuts of one recording.
#[derive(Debug)]
pub struct Checker<'a> {
    recording: &'a Recording,
    known: &'a Known,
    replay: Replay<'a>,
    directory: PathBuf,
}

impl<'a> Checker<'a> {
    /// Works in `directory`.
    pub fn of(recording: &'a Recording, known: &'a Known, directory: &Path) -> Result<Checker<'a>> {
        let mount_point = directory.join("root");
        fs::create_dir_all(&mount_point).with_context(|| format!("making {}", mount_point.display()))?;
        let replay = Replay::of(recording, directory)?;
        Ok(Checker { recording, known, replay, directory: directory.to_path_buf() })
    }

    /// What is wrong after this one; nothing: all is well.
    pub fn check(&mut self, cut: Cut) -> Result<Option<Bad>> {
        let disk = self.directory.join("cut.img");
        self.replay.cut(cut, &disk)?;
        // GRUB comes first: mounting replays the journal. What its entries lead to can be seen only by the kernel, so it looks
        // at a copy.
        let unreplayed = self.directory.join("unreplayed.img");
        drop(super::scratch::clone(&disk, &unreplayed)?);
        let only_new = cut.after >= self.recording.end;
        let layout = &self.recording.layout;
        let boot = layout.boot_path();
        let volumes = layout.volumes(&disk);
        let root = self.directory.join("root");
        let mut bad = Bad::default();
        let mounted = mount(&volumes, &root);
        match mounted {
            Ok(mounted) => {
                let grub = views::Grub::on(&unreplayed, layout)?;
                bad.grub = complaints(self.known, &grub, boot, &root, only_new)?;
                let partition = if layout.partitions.len() == 1 { root.clone() } else { root.join("boot") };
                bad.kernel = complaints(self.known, &views::Mounted { partition }, boot, &root, only_new)?;
                mounted.into_iter().rev().try_for_each(Mounted::unmount)?;
            }
            Err(error) => bad.kernel.push(format!("it cannot be mounted: {error:#}")),
        }
        for volume in layout.partitions.iter().enumerate() {
            bad.kernel.extend(damage(&disk, volume.1.filesystem, volume.1.offset, volume.1.size)?);
        }
        let good = bad.grub.is_empty() && bad.kernel.is_empty();
        Ok((!good).then_some(bad))
    }
}

fn mount(volumes: &[crate::finalize::Volume], root: &Path) -> Result<Vec<Mounted>> {
    let places = [root.to_path_buf(), root.join("boot")];
    volumes.iter().zip(places).map(|(volume, place)| Mounted::at(&volume.image, &volume.options, &place)).collect()
}

/// What the filesystem's own check says, after replay.
fn damage(disk: &Path, filesystem: Filesystem, offset: u64, size: u64) -> Result<Option<String>> {
    let options = format!("--offset={offset}");
    let device = run(Command::new("losetup")
        .args(["--find", "--show", "--read-only", &options, &format!("--sizelimit={size}")])
        .arg(disk))?;
    let device = device.trim();
    let mut command = match filesystem {
        Filesystem::Ext4 => Command::new("e2fsck"),
        Filesystem::Xfs => Command::new("xfs_repair"),
        Filesystem::Btrfs => Command::new("true"),
    };
    command.args(if filesystem == Filesystem::Ext4 { &["-f", "-n"][..] } else { &["-n"] });
    let checked = run(command.arg(device).env("PATH", host::PATH));
    run(Command::new("losetup").args(["--detach", device]))?;
    Ok(checked.err().map(|error| format!("{error:#}")))
}
