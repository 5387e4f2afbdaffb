//! Files that import each other, by whatever way round: strongly connected components of the graph of imports (Tarjan).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::imports::Import;

/// Files of which each reaches each other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Circle(pub(super) Vec<PathBuf>);

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(|path| path.display().to_string()).collect();
        f.write_str(&names.join(", "))
    }
}

/// The circles, each with its files in the order of their names.
pub(super) fn find(imports: &[Import]) -> Vec<Circle> {
    let mut graph: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for Import { from, to, .. } in imports {
        graph.entry(from).or_default().push(to);
        graph.entry(to).or_default();
    }
    let mut search = Search { graph: &graph, index: BTreeMap::new(), open: Vec::new(), found: Vec::new() };
    for file in graph.keys() {
        if !search.index.contains_key(file) {
            search.visit(file);
        }
    }
    let mut circles = search.found;
    circles.sort_by(|one, other| one.0.cmp(&other.0));
    circles
}

struct Search<'a> {
    graph: &'a BTreeMap<&'a Path, Vec<&'a Path>>,
    /// When a file was first come to.
    index: BTreeMap<&'a Path, usize>,
    /// On the way here, or in a circle with what is.
    open: Vec<&'a Path>,
    found: Vec<Circle>,
}

impl<'a> Search<'a> {
    /// The earliest file still open that can be reached from this one.
    fn visit(&mut self, file: &'a Path) -> usize {
        let own = self.index.len();
        self.index.insert(file, own);
        self.open.push(file);
        let mut lowest = own;
        for to in self.graph.get(file).into_iter().flatten() {
            lowest = lowest.min(match self.index.get(to) {
                None => self.visit(to),
                Some(index) if self.open.contains(to) => *index,
                Some(_) => lowest,
            });
        }
        if lowest == own {
            let from = self.open.iter().position(|open| *open == file).unwrap_or_default();
            let mut files: Vec<PathBuf> = self.open.drain(from..).map(Path::to_owned).collect();
            files.sort();
            if files.len() > 1 {
                self.found.push(Circle(files));
            }
        }
        lowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(edges: &[(&str, &str)]) -> Vec<String> {
        let import =
            |(from, to): &(&str, &str)| Import { from: from.into(), to: to.into(), line: 1, path: String::new() };
        find(&edges.iter().map(import).collect::<Vec<_>>()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_way_that_ends_is_no_circle() {
        assert_eq!(circles(&[("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")]), [""; 0]);
    }

    #[test]
    fn circles_of_any_length_are_found_and_kept_apart() {
        assert_eq!(
            circles(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c")]),
            ["a, b", "c, d, e"]
        );
        assert_eq!(circles(&[("a", "b"), ("b", "c"), ("c", "a"), ("b", "d"), ("d", "b")]), ["a, b, c, d"]);
    }
}
