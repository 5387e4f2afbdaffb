//! The log that QEMU's `blklogwrites` writes, in the format of the kernel's `dm-log-writes`.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const MAGIC: u64 = 0x006a_7366_7773_6872;
/// The sectors that the daemon is told to use.
const SECTOR: usize = 512;

const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// What was done to the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// These bytes of the log at this offset of the disk.
    Write { offset: u64, data: Range<usize> },
    /// Zeros, in effect.
    Discard { offset: u64, length: u64 },
    /// All earlier ones are there for good.
    Flush,
}

/// All operations, in order.
#[derive(Debug)]
pub(crate) struct Log {
    bytes: Vec<u8>,
    pub(crate) operations: Vec<Operation>,
}

impl Log {
    /// Reads one that is complete.
    pub(crate) fn read(path: &Path) -> Result<Log> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let operations = parse(&bytes).with_context(|| format!("parsing {}", path.display()))?;
        Ok(Log { bytes, operations })
    }

    /// What was written.
    pub(crate) fn data(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Operation>> {
    ensure!(number(bytes, 0)? == MAGIC, "it is no such log");
    ensure!(number(bytes, 24)? & 0xffff_ffff == SECTOR as u64, "other sectors than of {SECTOR} bytes");
    let entries = number(bytes, 16)?;
    let mut operations = Vec::new();
    let mut position = SECTOR;
    for _ in 0..entries {
        let [sector, sectors, flags] =
            [number(bytes, position)?, number(bytes, position + 8)?, number(bytes, position + 16)?];
        position += SECTOR;
        let (offset, length) = (sector * SECTOR as u64, sectors * SECTOR as u64);
        if flags & FLUSH != 0 {
            operations.push(Operation::Flush);
        }
        if flags & DISCARD != 0 {
            operations.push(Operation::Discard { offset, length });
        } else if length > 0 {
            let end = position + usize::try_from(length)?;
            ensure!(end <= bytes.len(), "the log ends within an entry");
            operations.push(Operation::Write { offset, data: position..end });
            position = end;
        }
    }
    Ok(operations)
}

fn number(bytes: &[u8], at: usize) -> Result<u64> {
    let bytes = bytes.get(at..at + 8).context("the log ends within an entry")?;
    Ok(u64::from_le_bytes(bytes.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(numbers: &[u64]) -> Vec<u8> {
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.resize(SECTOR, 0);
        bytes
    }

    #[test]
    fn writes_flushes_and_discards_are_told_apart() {
        let log = [
            sector(&[MAGIC, 1, 3, 512]),
            sector(&[2, 1, 0, 0]),
            vec![7; SECTOR],
            sector(&[0, 0, FLUSH, 0]),
            sector(&[4, 8, DISCARD, 0]),
        ]
        .concat();
        let expected = [
            Operation::Write { offset: 1024, data: 1024..1536 },
            Operation::Flush,
            Operation::Discard { offset: 2048, length: 4096 },
        ];
        assert_eq!(parse(&log).unwrap(), expected);
        assert!(parse(&log[..1200]).is_err());
        assert!(parse(&sector(&[1])).is_err());
    }
}
