//! What a guest has done to a disk, and where in it each run of a program begins and ends.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::state::{SECTOR, State};
use crate::power_cut::{Log, Numbers, Operation, SEED, arrivals, mark};

/// A disk and its log.
#[derive(Debug)]
pub struct Recording {
    base: Vec<u8>,
    log: Log,
    pub(super) runs: Vec<Run>,
}

/// A run, as numbers of operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What happened.
    pub name: String,
    /// The first one after the mark.
    pub begin: usize,
    /// The first one after it has returned.
    pub end: usize,
    /// Where the next one begins, or the disk is no longer used.
    pub until: usize,
}

impl Recording {
    /// Reads one whose guest is off. The image had `base` before.
    pub fn read(base: &Path, log: &Path) -> Result<Recording> {
        let base = fs::read(base).with_context(|| format!("reading {}", base.display()))?;
        let log = Log::read(log)?;
        let runs = runs(&log, base.len())?;
        Ok(Recording { base, log, runs })
    }

    /// Calls `look` with the disk after each operation from the first run on, and where something was not yet flushed, `subsets` times
    /// without some sectors of that. It is told after how many operations, and says whether it wants to see more.
    pub(super) fn states(&self, subsets: usize, mut look: impl FnMut(usize, &State<'_>) -> Result<bool>) -> Result<()> {
        let mut durable = self.base.clone();
        let mut pending: Vec<(u64, &[u8])> = Vec::new();
        let mut numbers = Numbers::from(SEED);
        let first = self.runs.first().context("no run")?.begin;
        for (at, operation) in self.log.operations.iter().enumerate() {
            match operation {
                Operation::Write { offset, data } => {
                    let first = offset / SECTOR as u64;
                    pending.extend((first..).zip(self.log.data(data).chunks(SECTOR)));
                }
                Operation::Flush => {
                    for (sector, bytes) in pending.drain(..) {
                        let begin = usize::try_from(sector)? * SECTOR;
                        durable
                            .get_mut(begin..begin + SECTOR)
                            .context("a write behind the end")?
                            .copy_from_slice(bytes);
                    }
                }
                Operation::Discard { .. } => anyhow::bail!("nothing discards here"),
            }
            let after = at + 1;
            let is_boundary = self.runs.iter().any(|run| [run.begin, run.end, run.until].contains(&after));
            if after < first || pending.is_empty() && !is_boundary {
                continue;
            }
            if !look(after, &State { durable: &durable, arrived: pending.iter().copied().collect() })? {
                return Ok(());
            }
            for _ in 0..if pending.len() > 1 { subsets } else { 0 } {
                let mut reaches = arrivals(Some(numbers.next()));
                let arrived: HashMap<u64, &[u8]> = pending.iter().copied().filter(|_| reaches()).collect();
                if !look(after, &State { durable: &durable, arrived })? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The runs that marks in the last sector tell of.
fn runs(log: &Log, size: usize) -> Result<Vec<Run>> {
    let place = (size - SECTOR) as u64;
    let mut runs: Vec<Run> = Vec::new();
    for (at, operation) in log.operations.iter().enumerate() {
        let Operation::Write { offset, data } = operation else { continue };
        if *offset != place {
            continue;
        }
        let text = String::from_utf8_lossy(log.data(data)).trim_end_matches('\0').to_owned();
        let mut words = text.split(' ').skip(1);
        let (kind, name) = (words.next().unwrap_or_default(), words.next().context("a mark without a name")?);
        ensure!(log.data(data) == mark(&format!("{kind} {name}")), "no mark: {text:?}");
        if kind == "begin" {
            if let Some(last) = runs.last_mut() {
                last.until = at;
            }
            let (begin, end) = (at + 1, 0);
            runs.push(Run { name: name.to_owned(), begin, end, until: log.operations.len() });
        } else {
            let last = runs.last_mut().filter(|run| run.name == name).context("an end without a beginning")?;
            last.end = at + 1;
        }
    }
    ensure!(!runs.is_empty() && runs.iter().all(|run| run.end > run.begin), "runs without an end: {runs:?}");
    Ok(runs)
}
