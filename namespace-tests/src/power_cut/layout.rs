//! One disk with everything on it, so that there is one order of all writes: physical root, and `/boot` where it is separate.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::command::run;

use crate::finalize::{Boot, Filesystem, Machine, Volume};

const MEBIBYTE: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// What the disk is divided into. It has a partition table: `grub-fstest` reads the disk as GRUB does.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// The physical root, and `/boot` if it is separate.
    pub(super) partitions: Vec<Partition>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition {
    pub(super) filesystem: Filesystem,
    /// In bytes.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) size: u64,
}

impl Layout {
    /// That of a disk with the machine's images on it.
    pub(super) fn of(machine: &Machine) -> Result<Layout> {
        let mut layout = Layout { partitions: Vec::new() };
        let story = machine.story();
        layout.add(story.filesystem, &machine.root_image())?;
        if let Boot::Separate(filesystem) = story.boot {
            layout.add(filesystem, &machine.boot_image())?;
        }
        Ok(layout)
    }

    fn add(&mut self, filesystem: Filesystem, image: &Path) -> Result<()> {
        let size = fs::metadata(image).with_context(|| format!("looking at {}", image.display()))?.len();
        self.partitions.push(Partition { filesystem, offset: self.marks(), size });
        Ok(())
    }

    /// Where the last mebibyte begins, which belongs to no filesystem.
    pub(super) fn marks(&self) -> u64 {
        self.partitions.last().map_or(MEBIBYTE, |last| (last.offset + last.size).next_multiple_of(MEBIBYTE))
    }

    pub(super) fn size(&self) -> u64 {
        self.marks() + MEBIBYTE
    }

    /// The partition that `/boot` is on.
    pub(super) fn boot(&self) -> Option<(usize, &Partition)> {
        self.partitions.iter().enumerate().next_back()
    }

    /// Where `/boot` is on its partition.
    pub(super) fn boot_path(&self) -> &'static str {
        if self.partitions.len() == 1 { "/boot" } else { "" }
    }

    /// Puts the machine's images on a new disk.
    pub(super) fn assemble(&self, machine: &Machine, disk: &Path) -> Result<()> {
        let file = File::create_new(disk).with_context(|| format!("making {}", disk.display()))?;
        file.set_len(self.size()).context("the disk's size")?;
        for (partition, image) in self.partitions.iter().zip([machine.root_image(), machine.boot_image()]) {
            run(Command::new("dd")
                .arg(format!("if={}", image.display()))
                .arg(format!("of={}", disk.display()))
                .args(["bs=64K", "conv=sparse,notrunc", "oflag=seek_bytes", "status=none"])
                .arg(format!("seek={}", partition.offset)))?;
        }
        let file = OpenOptions::new().write(true).open(disk)?;
        file.write_all_at(&self.partition_table()?, 0).context("writing the partition table")
    }

    /// An MBR.
    fn partition_table(&self) -> Result<Vec<u8>> {
        let mut table = vec![0; 446];
        for partition in &self.partitions {
            // CHS addresses say that they say nothing; type 83 is Linux.
            table.extend([0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff]);
            for bytes in [partition.offset, partition.size] {
                table.extend(u32::try_from(bytes / SECTOR).context("a partition beyond 2 TB")?.to_le_bytes());
            }
        }
        table.resize(510, 0);
        table.extend([0x55, 0xaa]);
        Ok(table)
    }

    /// The partitions of `disk`, to be mounted: the physical root, and a separate `/boot`.
    pub(super) fn volumes(&self, disk: &Path) -> Vec<Volume> {
        let volume = |partition: &Partition| Volume {
            image: disk.to_path_buf(),
            options: format!(
                "loop,offset={},sizelimit={}{}",
                partition.offset,
                partition.size,
                // Copies of one filesystem have one UUID.
                if partition.filesystem == Filesystem::Xfs { ",nouuid" } else { "" }
            ),
        };
        self.partitions.iter().map(volume).collect()
    }
}
