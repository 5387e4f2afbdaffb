//! Conflicts, which no rule decides: values.

use std::fmt;

use serde::Serialize;
use system::dir::Kind;

use super::path::EtcPath;

/// The machine and the new tree have different kinds of files at one path, and no rule says which one the machine needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Conflict {
    /// Where.
    pub(crate) path: EtcPath,
    /// The kind of file on the machine.
    pub(crate) machine: &'static str,
    /// The kind of file in the new tree.
    pub(crate) new: &'static str,
    /// The machine's files in a directory that would be replaced.
    pub(crate) in_the_way: Vec<EtcPath>,
}

impl Conflict {
    /// Whether libostree stops, too: the machine has a file or link where the new tree has a directory.
    pub(crate) fn is_known_to_libostree(&self) -> bool {
        self.new == word(Kind::Directory)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let Self { path, machine, new, in_the_way } = self;
        write!(f, "{path} is {machine} on this machine (changed) but {new} in the new tree")?;
        let Some((first, others)) = in_the_way.split_first() else { return Ok(()) };
        write!(f, "; this machine's files in it: {first}")?;
        others.iter().take(SHOWN - 1).try_for_each(|path| write!(f, ", {path}"))?;
        match in_the_way.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

pub(super) fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a directory",
        Kind::Link => "a link",
        Kind::Other => "a special file",
    }
}
