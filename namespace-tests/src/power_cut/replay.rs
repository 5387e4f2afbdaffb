//! Rebuilds the disk as a power cut left it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cuts::{Cut, Numbers};
use super::log::Operation;
use super::recording::Recording;
use super::scratch::clone;

/// A write of several blocks can be torn between them, and not within one.
const BLOCK: usize = 4096;

/// Cheapest when cuts come in the order of time.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    recording: &'a Recording,
    /// With all operations up to `done`, of which the last is a flush, or there is none.
    flushed: PathBuf,
    file: File,
    done: usize,
}

impl<'a> Replay<'a> {
    /// Works in `directory`.
    pub(super) fn of(recording: &'a Recording, directory: &Path) -> Result<Replay<'a>> {
        let flushed = directory.join("flushed.img");
        let file = clone(&recording.base(), &flushed)?;
        Ok(Replay { recording, flushed, file, done: 0 })
    }

    /// Makes `disk` what is left.
    pub(super) fn cut(&mut self, cut: Cut, disk: &Path) -> Result<()> {
        let log = &self.recording.log;
        let before = log.operations.get(..cut.after).context("a cut after the end of the log")?;
        let flushed = before.iter().rposition(|operation| *operation == Operation::Flush).map_or(0, |flush| flush + 1);
        if flushed < self.done {
            self.file = clone(&self.recording.base(), &self.flushed)?;
            self.done = 0;
        }
        for operation in before.get(self.done..flushed).unwrap_or_default() {
            self.apply(operation, &self.file, &mut || true)?;
        }
        self.done = flushed;
        let file = clone(&self.flushed, disk)?;
        let mut reaches = arrivals(cut.lost);
        for operation in before.get(flushed..).unwrap_or_default() {
            self.apply(operation, &file, &mut reaches)?;
        }
        Ok(())
    }

    fn apply(&self, operation: &Operation, file: &File, reaches: &mut dyn FnMut() -> bool) -> Result<()> {
        match operation {
            Operation::Write { offset, data } => {
                let pieces = self.recording.log.data(data).chunks(BLOCK);
                for (offset, piece) in (*offset..).step_by(BLOCK).zip(pieces) {
                    if reaches() {
                        file.write_all_at(piece, offset).context("writing to a copy of the disk")?;
                    }
                }
            }
            Operation::Discard { offset, length } => {
                let zeros = vec![0; usize::try_from(*length)?];
                if reaches() {
                    file.write_all_at(&zeros, *offset).context("writing to a copy of the disk")?;
                }
            }
            Operation::Flush => {}
        }
        Ok(())
    }
}

/// Whether the next piece reaches the disk: all do, or most, half of them, or few.
pub(crate) fn arrivals(lost: Option<u64>) -> impl FnMut() -> bool {
    let mut numbers = lost.map(Numbers::from);
    let of_eight =
        numbers.as_mut().map_or(8, |numbers| [1, 4, 7].get((numbers.next() % 3) as usize).copied().unwrap_or(4));
    move || numbers.as_mut().is_none_or(|numbers| numbers.next() % 8 < of_eight)
}
