//! Which lines have to be looked at for a path: a sorted list of hashes.
//!
//! A hash may stand for two things. Who looks something up compares what was found with what was meant.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines by the hash of something that they have.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// In two halves, which leave no gap before the line.
    hash: [u32; 2],
    line: u32,
}

/// The hash of these bytes.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn halves(hash: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

impl Index {
    /// Adds a line.
    pub(crate) fn add(&mut self, hash: u64, line: u32) {
        self.entries.push(Entry { hash: halves(hash), line });
    }

    /// Before the first lookup.
    pub(crate) fn finish(&mut self) {
        self.entries.sort_unstable();
        self.entries.shrink_to_fit();
    }

    /// The lines of all these hashes, the last one first.
    pub(crate) fn last_first<'a>(&'a self, hashes: &[u64]) -> impl Iterator<Item = u32> + use<'a> {
        let mut groups: Vec<&[Entry]> = hashes.iter().map(|hash| self.group(*hash)).collect();
        std::iter::from_fn(move || {
            let group = groups.iter_mut().max_by_key(|group| group.last().map(|entry| entry.line))?;
            let (last, rest) = group.split_last()?;
            *group = rest;
            Some(last.line)
        })
    }

    fn group(&self, hash: u64) -> &[Entry] {
        let hash = halves(hash);
        let start = self.entries.partition_point(|entry| entry.hash < hash);
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|entry| entry.hash == hash)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_groups_come_last_first() {
        let mut index = Index::default();
        for (hash, line) in [(7, 0), (3, 1), (7, 2), (9, 3), (3, 4), (7, 5)] {
            index.add(hash, line);
        }
        index.finish();
        let lines = |hashes: &[u64]| index.last_first(hashes).collect::<Vec<_>>();
        assert_eq!(lines(&[7]), [5, 2, 0]);
        assert_eq!(lines(&[3, 7]), [5, 4, 2, 1, 0]);
        assert_eq!(lines(&[8, 9, 10]), [3]);
        assert_eq!(lines(&[]), [0; 0]);
    }
}
