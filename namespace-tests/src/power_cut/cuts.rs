//! When the power can go.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};

use super::log::Operation;
use super::recording::Recording;

/// Of the random numbers.
pub(crate) const SEED: u64 = 0x6669_7273_7472_6f6f;

/// A power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut {
    /// How many operations had reached the disk.
    pub after: usize,
    /// Decides which of those that were not yet flushed are lost, in pieces of a block each; `None`: none is.
    pub lost: Option<u64>,
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lost {
            None => write!(formatter, "{}", self.after),
            Some(seed) => write!(formatter, "{}-{seed}", self.after),
        }
    }
}

impl FromStr for Cut {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Cut> {
        let (after, lost) = text.split_once('-').map_or((text, None), |(after, seed)| (after, Some(seed)));
        let lost = lost.map(str::parse).transpose().with_context(|| format!("a seed in {text:?}"))?;
        Ok(Cut { after: after.parse().with_context(|| format!("a number in {text:?}"))?, lost })
    }
}

/// Numbers that look random, the same each time (splitmix64).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn from(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// After each write, from the start of the program until the disk is no longer used; and where something was not yet flushed,
/// `subsets` times without some of that.
pub fn every_cut(recording: &Recording, subsets: usize) -> Vec<Cut> {
    let mut numbers = Numbers::from(SEED);
    let mut cuts = Vec::new();
    let mut unflushed = 0;
    for (at, operation) in recording.log.operations.iter().enumerate() {
        unflushed = if *operation == Operation::Flush { 0 } else { unflushed + 1 };
        let after = at + 1;
        if after < recording.begin || unflushed == 0 && after != recording.begin {
            continue;
        }
        cuts.push(Cut { after, lost: None });
        if unflushed > 1 {
            cuts.extend((0..subsets).map(|_| Cut { after, lost: Some(numbers.next()) }));
        }
    }
    cuts
}

/// Each write while the program runs, and `others` of [`every_cut`] at random.
pub fn sample_of_cuts(recording: &Recording, others: usize) -> Vec<Cut> {
    let while_it_runs = recording.begin..=recording.end;
    let all = every_cut(recording, 1);
    let (mut sample, rest): (Vec<Cut>, Vec<Cut>) =
        all.into_iter().partition(|cut| cut.lost.is_none() && while_it_runs.contains(&cut.after));
    sample.extend(shuffled(rest).into_iter().take(others));
    sample.sort_unstable();
    sample
}

/// The same cuts in another order, the same each time: where one bad cut is enough, it is soon found.
pub fn shuffled(mut cuts: Vec<Cut>) -> Vec<Cut> {
    let mut numbers = Numbers::from(SEED);
    cuts.sort_by_cached_key(|_| numbers.next());
    cuts
}
