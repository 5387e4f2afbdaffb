//! All that is in a directory and below it, in libostree's order, one name at a time.
//!
//! Neither the stack nor the number of descriptors depends on what is on the disk: one directory is open at a time, and the way
//! back up is a list of names.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::tree;

/// A name below the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the directory.
    pub path: Vec<u8>,
    /// What it is; links are not followed.
    pub kind: Kind,
}

/// The rest of a directory: its length as a path, and the names that are still to come, last first.
#[derive(Debug)]
struct Level {
    path_length: usize,
    names: Vec<(Vec<u8>, Kind)>,
}

/// Walks a directory. A directory comes before what is in it, and names are sorted by their bytes.
#[derive(Debug)]
pub struct TreeWalk {
    root: OwnedFd,
    path: Vec<u8>,
    levels: Vec<Level>,
    /// The directory that was returned last: it is listed when the next name is asked for.
    entered: bool,
}

impl TreeWalk {
    /// Begins in `directory`, which is open for reading.
    ///
    /// # Errors
    /// As `fcntl(F_DUPFD_CLOEXEC)`.
    pub fn new(directory: impl AsFd) -> Result<Self, Errno> {
        let root = rustix::io::fcntl_dupfd_cloexec(directory, 0)?;
        Ok(Self { root, path: Vec::new(), levels: Vec::new(), entered: true })
    }

    /// The next name; `None` after the last one.
    ///
    /// # Errors
    /// As `open(2)` and `getdents64(2)`: `ENAMETOOLONG` where a path is longer than the kernel takes (4,096 bytes).
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Errno> {
        if std::mem::take(&mut self.entered) {
            let mut names = self.list()?;
            names.reverse();
            self.levels.push(Level { path_length: self.path.len(), names });
        }
        while let Some(level) = self.levels.last_mut() {
            self.path.truncate(level.path_length);
            let Some((name, kind)) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            if !self.path.is_empty() {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&name);
            self.entered = kind == Kind::Directory;
            return Ok(Some(Entry { path: self.path.clone(), kind }));
        }
        Ok(None)
    }

    fn list(&self) -> Result<Vec<(Vec<u8>, Kind)>, Errno> {
        if self.path.is_empty() {
            return tree::entries(&self.root);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        tree::entries(dir::open_plainly(&self.root, OsStr::from_bytes(&self.path), flags)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn walked(root: &std::path::Path) -> Vec<String> {
        let mut walk = TreeWalk::new(fs::File::open(root).unwrap()).unwrap();
        let mut paths = Vec::new();
        while let Some(entry) = walk.next_entry().unwrap() {
            paths.push(format!("{} {:?}", entry.path.escape_ascii(), entry.kind));
        }
        paths
    }

    #[test]
    fn names_come_sorted_and_directories_before_what_is_in_them() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("b/empty")).unwrap();
        for file in ["b/z", "b/a", "b.dtb", "c", "a"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        fs::write(root.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        std::os::unix::fs::symlink(".", root.path().join("b/link")).unwrap();
        let names = ["a File", "b Directory", "b/a File", "b/empty Directory", "b/link Link", "b/z File", "b.dtb File"];
        assert_eq!(walked(root.path()), [&names[..], &["c File", "\\xff File"]].concat());
    }
}
