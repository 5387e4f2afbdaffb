//! SELinux's labels of the files that a finalization writes, as they are on the disk.
//!
//! This machine has no policy, and so nothing stands between a label and who reads it. In the guest a label that its policy does not know
//! reads as another one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::lgetxattr;
use rustix::io::Errno;

const ATTRIBUTE: &str = "security.selinux";
/// A label without one.
const NONE: &str = "(none)";
const LONGEST: usize = 4096;

/// Labels by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    by_path: BTreeMap<String, String>,
}

impl Labels {
    /// Of `/boot`, `/ostree` and each deployment's `/etc`, on the physical root `root`.
    pub fn on(root: &Path) -> Result<Labels> {
        let mut labels = Labels::default();
        for top in ["boot", "ostree"] {
            labels.collect(root, top)?;
        }
        Ok(labels)
    }

    /// The label of the file at `path`, without slash at its beginning.
    pub fn of(&self, path: &str) -> Option<&str> {
        self.by_path.get(path).map(String::as_str)
    }

    /// All paths, with their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_path.iter().map(|(path, label)| (path.as_str(), label.as_str()))
    }

    /// What differs, a line each: path, the label here, the label in `other`.
    pub fn differences<'a>(&'a self, other: &'a Labels) -> Vec<Difference<'a>> {
        let paths = self.by_path.keys().chain(other.by_path.keys().filter(|path| !self.by_path.contains_key(*path)));
        let differences = paths.map(|path| Difference { path, before: self.of(path), after: other.of(path) });
        differences.filter(|difference| difference.before != difference.after).collect()
    }

    /// A line for each file, for people.
    pub fn lines(&self) -> String {
        self.iter().map(|(path, label)| format!("{label} {path}\n")).collect()
    }

    fn collect(&mut self, root: &Path, path: &str) -> Result<()> {
        if is_of_no_finalization(path) {
            return Ok(());
        }
        let full = root.join(path);
        self.by_path.insert(path.to_owned(), label(&full)?);
        if !full.symlink_metadata().with_context(|| format!("looking at {path}"))?.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(&full).with_context(|| format!("listing {path}"))? {
            let name = entry.with_context(|| format!("listing {path}"))?.file_name();
            self.collect(root, &format!("{path}/{}", name.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// A file whose label is not the same on two disks; `None`: it is only on the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// Its path.
    pub path: &'a str,
    /// Its label on the first disk.
    pub before: Option<&'a str>,
    /// Its label on the second one.
    pub after: Option<&'a str>,
}

/// Objects and what is checked out of them, which the commit labels, and files of the running system.
fn is_of_no_finalization(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["ostree", "repo", "objects" | "tmp", ..] => true,
        ["ostree", "deploy", _, "var", name, ..] => *name != ".ostree-selabeled",
        ["ostree", "deploy", _, "deploy", _, name, ..] => *name != "etc",
        _ => false,
    }
}

fn label(path: &Path) -> Result<String> {
    let mut value = vec![0_u8; LONGEST];
    match lgetxattr(path, ATTRIBUTE, &mut value) {
        Ok(length) => {
            value.truncate(length);
            Ok(String::from_utf8_lossy(&value).trim_end_matches('\0').to_owned())
        }
        Err(Errno::NODATA) => Ok(NONE.to_owned()),
        Err(error) => Err(error).with_context(|| format!("reading the label of {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_commit_labels_is_left_out() {
        for path in ["boot/loader/entries", "ostree/repo/refs/heads", "ostree/deploy/d/deploy/c.0/etc/passwd"] {
            assert!(!is_of_no_finalization(path), "{path}");
        }
        for path in ["ostree/repo/objects", "ostree/deploy/d/deploy/c.0/usr", "ostree/deploy/d/var/log"] {
            assert!(is_of_no_finalization(path), "{path}");
        }
        assert!(!is_of_no_finalization("ostree/deploy/d/var/.ostree-selabeled"));
    }

    #[test]
    fn differences_are_of_both_sides() {
        let of = |pairs: &[(&str, &str)]| Labels {
            by_path: pairs.iter().map(|(path, label)| ((*path).to_owned(), (*label).to_owned())).collect(),
        };
        let (first, second) = (of(&[("a", "1"), ("b", "1")]), of(&[("a", "1"), ("b", "2"), ("c", "3")]));
        let differences = first.differences(&second);
        let found: Vec<_> = differences.iter().map(|d| (d.path, d.before, d.after)).collect();
        assert_eq!(found, [("b", Some("1"), Some("2")), ("c", None, Some("3"))]);
    }
}
