//! Walks trees, with one of their directories open at a time.
//!
//! Stack and number of descriptors do not depend on the disk: the way back up is a list of names.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::dir;
use crate::kind::Kind;
use crate::listing::{Entry, entries};

/// Something in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkEntry {
    /// Relative to the directory in which the walk began.
    pub path: Vec<u8>,
    /// The kind of file; links are not followed.
    pub kind: Kind,
}

/// The rest of a directory: the length of its path, and the remaining names in reverse order.
#[derive(Debug)]
struct Level {
    path_length: usize,
    names: Vec<Entry>,
}

/// All that is in a directory and below it, in libostree's order, one name at a time: a directory comes before what is in it, and names
/// are sorted by their bytes. No link is followed, and no mount is entered.
#[derive(Debug)]
pub struct TreeWalk {
    root: OwnedFd,
    path: Vec<u8>,
    levels: Vec<Level>,
    /// The directory that was returned last: it is listed when the next name is requested.
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
    pub fn next_entry(&mut self) -> Result<Option<WalkEntry>, Errno> {
        if std::mem::take(&mut self.entered) {
            let names = if self.levels.is_empty() { entries(&self.root) } else { entries(self.open()?) };
            self.enter(names?);
        }
        let next = self.next_name();
        self.entered = next == Some(Kind::Directory);
        Ok(next.map(|kind| WalkEntry { path: self.path.clone(), kind }))
    }

    /// Opens the directory that was returned last.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let path: &[u8] = if self.path.is_empty() { b"." } else { &self.path };
        dir::open_plainly(&self.root, OsStr::from_bytes(path), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Continues with the content of that directory.
    fn enter(&mut self, mut names: Vec<Entry>) {
        names.reverse();
        self.levels.push(Level { path_length: self.path.len(), names });
    }

    /// Moves on to the next name, and sets the path.
    fn next_name(&mut self) -> Option<Kind> {
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
            return Some(kind);
        }
        None
    }
}

/// The work on one directory.
type Visit<'a> = dyn FnMut(&OsStr, BorrowedFd<'_>, &[Entry]) -> Result<(), Errno> + 'a;

/// Calls `visit` for the open directory `root` and for each directory below it, a directory before those in it: with its path from
/// `root` (`.` for `root` itself), its descriptor, and what is in it. No link is followed, and no mount is entered.
///
/// # Errors
/// As `visit` and the system calls; `ENAMETOOLONG` for a directory whose path is longer than the kernel takes, 4,095 bytes.
pub fn directories(
    root: impl AsFd,
    mut visit: impl FnMut(&OsStr, BorrowedFd<'_>, &[Entry]) -> Result<(), Errno>,
) -> Result<(), Errno> {
    directories_in(root.as_fd(), &mut visit)
}

fn directories_in(root: BorrowedFd<'_>, visit: &mut Visit<'_>) -> Result<(), Errno> {
    let mut walk = TreeWalk::new(root)?;
    let mut shown = b".".to_vec();
    loop {
        let directory = walk.open()?;
        let mut names = entries(&directory)?;
        visit(OsStr::from_bytes(&shown), directory.as_fd(), &names)?;
        drop(directory);
        names.retain(|(_, kind)| *kind == Kind::Directory);
        walk.enter(names);
        if walk.next_name().is_none() {
            return Ok(());
        }
        shown.truncate(1);
        shown.push(b'/');
        shown.extend_from_slice(&walk.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("b/empty")).unwrap();
        for file in ["b/z", "b/a", "b.dtb", "c", "a"] {
            fs::write(root.path().join(file), "").unwrap();
        }
        fs::write(root.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        std::os::unix::fs::symlink(".", root.path().join("b/link")).unwrap();
        root
    }

    #[test]
    fn names_come_sorted_and_directories_before_what_is_in_them() {
        let root = tree();
        let mut walk = TreeWalk::new(fs::File::open(root.path()).unwrap()).unwrap();
        let mut paths = Vec::new();
        while let Some(entry) = walk.next_entry().unwrap() {
            paths.push(format!("{} {:?}", entry.path.escape_ascii(), entry.kind));
        }
        let names = ["a File", "b Directory", "b/a File", "b/empty Directory", "b/link Link", "b/z File", "b.dtb File"];
        assert_eq!(paths, [&names[..], &["c File", "\\xff File"]].concat());
    }

    #[test]
    fn each_directory_is_visited_once_with_what_is_in_it() {
        let root = tree();
        let mut seen = Vec::new();
        directories(fs::File::open(root.path()).unwrap(), |path, _, entries| {
            seen.push((path.display().to_string(), entries.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(".".to_owned(), 5), ("./b".to_owned(), 4), ("./b/empty".to_owned(), 0)]);
    }
}
