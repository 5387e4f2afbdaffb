//! One power cut after the other.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::cuts::Cut;
use super::judgement::Judge;
use super::known::Known;
use super::recording::Recording;
use super::replay::Replay;
use super::root::{MountedDisk, check_filesystems};
use super::views::{Grub, View, entries};

/// What somebody would have met with after a power cut.
#[derive(Clone, Debug, Default)]
pub struct Bad {
    /// GRUB, which does not replay journals.
    pub grub: Vec<String>,
    /// The kernel, which does.
    pub kernel: Vec<String>,
}

impl Bad {
    /// Whether all is well.
    pub fn is_none(&self) -> bool {
        self.grub.is_empty() && self.kernel.is_empty()
    }
}

/// Rebuilds disks and looks at them.
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
        let replay = Replay::of(recording, directory)?;
        Ok(Checker { recording, known, replay, directory: directory.to_path_buf() })
    }

    /// What is wrong after this one.
    pub fn check(&mut self, cut: Cut) -> Result<Bad> {
        let layout = &self.recording.layout;
        let disk = self.directory.join("state.img");
        self.replay.cut(cut, &disk)?;
        let after_success = cut.after >= self.recording.end;
        // Before anybody mounts the disk.
        let grub = Grub::on(&disk, layout)?;
        let seen_by_grub = entries(&grub, layout.boot_path());
        let mounted = match MountedDisk::mount(&disk, layout, &self.directory) {
            Ok(mounted) => mounted,
            Err(error) => return Ok(Bad { kernel: vec![format!("{error:#}")], ..Bad::default() }),
        };
        let kernel = mounted.view();
        let seen_by_kernel = entries(&kernel, layout.boot_path());
        let mut judge = Judge::of(self.known, mounted.root());
        let [grub, mut kernel] =
            [(grub.whose(), seen_by_grub), (kernel.whose(), seen_by_kernel)].map(|(whose, seen)| match seen {
                Ok(entries) if entries.is_empty() => vec![format!("{whose} finds no entry")],
                Ok(entries) => judge.complaints(&entries, after_success),
                Err(error) => vec![format!("{error:#}")],
            });
        // It is there to be read, whenever the power went.
        let is_torn = |stamp: &Vec<u8>| !stamp.starts_with(b"interrupted while ") || !stamp.ends_with(b"\n");
        if let Some(stamp) = mounted.root().stamp().filter(is_torn) {
            kernel.push(format!("the stamp says {:?}", String::from_utf8_lossy(&stamp)));
        }
        mounted.unmount()?;
        kernel.extend(check_filesystems(&disk, layout).err().map(|error| format!("{error:#}")));
        Ok(Bad { grub, kernel })
    }
}
