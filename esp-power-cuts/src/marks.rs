//! Marks in the log of writes: the last sector of the disk, which is behind the FAT.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};

const SECTOR: usize = 512;

/// Where marks are written.
pub(crate) struct Marks {
    device: OwnedFd,
    offset: u64,
}

impl Marks {
    /// On a disk.
    pub(crate) fn on(device: &str) -> Result<Marks> {
        let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
        let opened = rustix::fs::open(device, flags, Mode::empty()).with_context(|| format!("opening {device}"))?;
        let size = rustix::fs::seek(&opened, rustix::fs::SeekFrom::End(0)).context("the size of the disk")?;
        Ok(Marks { device: opened, offset: size - SECTOR as u64 })
    }

    /// Writes one. It flushes nothing: a flush would make writes durable that the program itself leaves to chance.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        let mut buffer = vec![0; 2 * 4096];
        // Direct writes begin at an address that the disk can take.
        let begin = buffer.as_ptr().align_offset(4096);
        let sector = buffer.get_mut(begin..begin + SECTOR).context("a buffer that is not aligned")?;
        let text = format!("firstroot {text}");
        sector.get_mut(..text.len()).context("a mark is longer than a sector")?.copy_from_slice(text.as_bytes());
        rustix::io::pwrite(&self.device, sector, self.offset).context("writing a mark").map(drop)
    }

    /// Makes the log complete.
    pub(crate) fn finish(&self) -> Result<()> {
        rustix::fs::fsync(&self.device).context("syncing the disk")
    }
}
