//! Files of `/etc` that were the same as the shipped ones when `--prepare` compared them, so that shutdown need not read them again.
//!
//! Both files are recorded by filesystem, inode, time of the last change and size. Every change of content, mode, owner or extended
//! attributes gives a file another time of change, so two files with the recorded ones are still the same. The list is kept where a
//! reboot empties it; files that are not in it are compared.

use rustix::fs::Stat;

/// The most pairs that are kept: 1 MiB. Of a larger `/etc` the rest is compared.
pub(crate) const MOST: usize = LIMIT / PAIR;
/// The most bytes of a list.
const LIMIT: usize = 1 << 20;
const NUMBERS: usize = 10;
const PAIR: usize = NUMBERS * size_of::<u64>();

/// A shipped file and the machine's, when they were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pair([u64; NUMBERS]);

impl Pair {
    /// The attributes are those from before the files were read.
    pub(crate) fn of(shipped: &Stat, machine: &Stat) -> Self {
        let [a, b, c, d, e] = version(shipped);
        let [f, g, h, i, j] = version(machine);
        Self([a, b, c, d, e, f, g, h, i, j])
    }

    /// Whether both had their last change before `time`, in seconds since the epoch.
    fn is_older_than(&self, time: i64) -> bool {
        let [_, _, shipped, _, _, _, _, machine, _, _] = self.0;
        [shipped, machine].iter().all(|seconds| seconds.cast_signed() < time)
    }
}

fn version(stat: &Stat) -> [u64; 5] {
    let time = [stat.st_ctime.cast_unsigned(), stat.st_ctime_nsec];
    [stat.st_dev, stat.st_ino, time[0], time[1], stat.st_size.cast_unsigned()]
}

/// Pairs of files that were the same, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Known(Vec<Pair>);

impl Known {
    /// Of the pairs that are the same those whose last change was before `began`, in seconds since the epoch: a file that changes
    /// while it is read, in the same tick of the clock, would have the time that it had before.
    pub(crate) fn of(mut pairs: Vec<Pair>, began: i64) -> Self {
        pairs.retain(|pair| pair.is_older_than(began));
        pairs.truncate(MOST);
        pairs.sort_unstable();
        Self(pairs)
    }

    /// Whether these files were the same, and have not changed since.
    pub(crate) fn has(&self, pair: &Pair) -> bool {
        self.0.binary_search(pair).is_ok()
    }

    /// Reads what [`Known::to_bytes`] wrote. A list that is damaged knows nothing, so all files are compared.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (pairs, rest) = bytes.as_chunks::<PAIR>();
        if !rest.is_empty() || pairs.len() > MOST {
            return Self::default();
        }
        let pairs: Vec<Pair> = pairs.iter().map(pair_of).collect();
        if pairs.is_sorted() { Self(pairs) } else { Self::default() }
    }

    /// The list, in this machine's order of bytes: no other one reads it.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|pair| pair.0).flat_map(u64::to_ne_bytes).collect()
    }
}

fn pair_of(bytes: &[u8; PAIR]) -> Pair {
    let mut numbers = [0; NUMBERS];
    let (of_numbers, _) = bytes.as_chunks::<8>();
    for (number, bytes) in numbers.iter_mut().zip(of_numbers) {
        *number = u64::from_ne_bytes(*bytes);
    }
    Pair(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(seconds: u64) -> Pair {
        Pair([1, 2, seconds, 4, 5, 6, 7, seconds, 9, 10])
    }

    #[test]
    fn what_is_written_is_read_and_known() {
        let known = Known::of(vec![pair(9), pair(3), pair(20)], 10);
        let again = Known::from_bytes(&known.to_bytes());
        assert_eq!(again, known);
        let has: Vec<bool> = [3, 9, 20, 4].iter().map(|seconds| again.has(&pair(*seconds))).collect();
        assert_eq!(has, [true, true, false, false]);
    }

    #[test]
    fn a_damaged_list_knows_nothing() {
        let whole = Known::of(vec![pair(3), pair(9)], 10).to_bytes();
        let (one, other) = whole.split_at(PAIR);
        for damaged in [&whole[1..], &[other, one].concat(), &vec![0; LIMIT + PAIR]] {
            assert_eq!(Known::from_bytes(damaged), Known::default());
        }
    }
}
