//! A disk as a power cut leaves it, without copying it.

use std::collections::HashMap;

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
    pub(super) fn sector(&self, sector: u64) -> Result<&[u8]> {
        if let Some(bytes) = self.arrived.get(&sector) {
            return Ok(bytes);
        }
        let begin = usize::try_from(sector)?.checked_mul(SECTOR).context("a sector behind the end of the disk")?;
        self.durable.get(begin..begin + SECTOR).with_context(|| format!("the disk has no sector {sector}"))
    }
}
