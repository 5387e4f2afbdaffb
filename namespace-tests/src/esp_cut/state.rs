//! A disk as a power cut leaves it, without copying it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Written whole, or not at all.
pub(super) const SECTOR: usize = 512;

/// A disk.
#[derive(Debug)]
pub(super) struct State<'a> {
    pub(super) durable: &'a [u8],
    /// Sectors that have reached it since the last flush.
    pub(super) arrived: HashMap<u64, &'a [u8]>,
}

impl State<'_> {
    /// Writes it to a file, with holes.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        file.set_len(self.durable.len() as u64).context("making a disk")?;
        const PIECE: usize = 8 * SECTOR;
        for (offset, piece) in (0..).step_by(PIECE).zip(self.durable.chunks(PIECE)) {
            if piece.iter().any(|byte| *byte != 0) {
                file.write_all_at(piece, offset).context("writing a disk")?;
            }
        }
        for (sector, bytes) in &self.arrived {
            file.write_all_at(bytes, sector * SECTOR as u64).context("writing a disk")?;
        }
        Ok(())
    }

    pub(super) fn sector(&self, sector: u64) -> Result<&[u8]> {
        if let Some(bytes) = self.arrived.get(&sector) {
            return Ok(bytes);
        }
        let begin = usize::try_from(sector)?.checked_mul(SECTOR).context("a sector behind the end of the disk")?;
        self.durable.get(begin..begin + SECTOR).with_context(|| format!("the disk has no sector {sector}"))
    }
}
