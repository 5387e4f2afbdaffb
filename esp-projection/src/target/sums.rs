//! `SHA256SUMS`: the files of a payload that are complete, as sha256sum(1) writes them.

use std::collections::BTreeSet;
use std::fmt;

use ostree_formats::deployment::Checksum;

/// The paths of the files, with their checksums.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums(pub(crate) Vec<(String, Checksum)>);

impl Sums {
    /// Reads it; an incomplete last line names nothing.
    pub(crate) fn parse(text: &str) -> Self {
        let complete = text.rsplit_once('\n').map(|(complete, _)| complete).unwrap_or_default();
        let line = |line: &str| {
            let (sum, name) = line.split_once("  ")?;
            Some((name.to_owned(), sum.parse::<Checksum>().ok()?))
        };
        Self(complete.lines().filter_map(line).collect())
    }

    /// Adds a file, in its place by its path.
    pub(crate) fn add(&mut self, name: &str, sum: Checksum) {
        let place = self.0.partition_point(|(known, _)| known.as_str() < name);
        self.0.insert(place, (name.to_owned(), sum));
    }

    /// The paths.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, sum)| writeln!(f, "{}  {name}", sum.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_checksums_that_was_cut_names_what_is_complete() {
        let sum = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";
        let complete = format!("{sum}  dtb/a b.dtb\n{sum}  vmlinuz\n");
        let sums = Sums::parse(&format!("{complete}nonsense\n{sum}  initramfs.im"));
        assert_eq!(sums.to_string(), complete);
        assert_eq!(sums.names().into_iter().collect::<Vec<_>>(), ["dtb/a b.dtb", "vmlinuz"]);
    }
}
