//! The state of the new `etc` before the merge, at all paths that the merge changes: values.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::path::EtcPath;

/// The earlier state of one path. The name of a saved copy is its index in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Was {
    /// It did not exist.
    Absent,
    /// It is saved, with everything in it.
    Saved,
    /// A directory of which only the attributes change: they are saved, if there was room.
    Directory,
    /// There was no room to save it: the shipped file replaces it.
    NotSaved,
}

/// A path that the merge changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(super) was: Was,
    pub(super) path: EtcPath,
}

/// The number of paths that could not be saved.
pub(crate) fn not_saved(list: &[Before]) -> usize {
    list.iter().filter(|before| before.was == Was::NotSaved).count()
}

/// The paths of the list.
#[cfg(feature = "fuzzing")]
pub(crate) fn paths(list: &[Before]) -> impl Iterator<Item = &EtcPath> {
    list.iter().map(|before| &before.path)
}

/// The list as bytes: for each path a letter, the path, and a zero.
pub(crate) fn to_bytes(list: &[Before]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Before { was, path } in list {
        bytes.push(match was {
            Was::Absent => b'a',
            Was::Saved => b's',
            Was::Directory => b'd',
            Was::NotSaved => b'n',
        });
        bytes.extend_from_slice(path.relative().as_bytes());
        bytes.push(0);
    }
    bytes
}

/// Reads the bytes of a list; `None` if they are damaged or incomplete.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<Before>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let records = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let before = |record: &[u8]| {
        let (letter, path) = record.split_first()?;
        let was = match letter {
            b'a' => Was::Absent,
            b's' => Was::Saved,
            b'd' => Was::Directory,
            b'n' => Was::NotSaved,
            _ => return None,
        };
        Some(Before { was, path: EtcPath::from_relative(OsStr::from_bytes(path))? })
    };
    records.map(before).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EtcPath {
        EtcPath::from_relative(OsStr::new(text)).unwrap()
    }

    #[test]
    fn a_list_is_the_same_after_it_was_written() {
        let before = |was, text| Before { was, path: path(text) };
        let list = [before(Was::Directory, "."), before(Was::Absent, "a\nb"), before(Was::Saved, "c/d")];
        assert_eq!(from_bytes(&to_bytes(&list)).unwrap(), list);
        assert_eq!(from_bytes(b""), Some(Vec::new()));
        for damaged in [&b"a"[..], b"x.\0", b"a../x\0", b"a/x\0", b"a\0", b"\0"] {
            assert_eq!(from_bytes(damaged), None, "{damaged:?}");
        }
    }
}
