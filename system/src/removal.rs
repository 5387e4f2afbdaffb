//! Removes trees of any depth and width, with few open descriptors.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, IFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::dir::{self, Kind};
use crate::inode::{change_flags, open_file};
use crate::listing;

/// How many directories on the way down stay open. Those above are opened again on the way up.
const OPEN: usize = 32;
/// How often a directory is listed again if it is not empty.
const ROUNDS: usize = 64;

/// Removes `name` from `directory` with all its content, including immutable and append-only files. Follows no link. It is not an
/// error if `name` does not exist. A mount below it is an error and stays.
///
/// # Errors
/// As the system calls; then a part may be removed already. `ENOTEMPTY` if another program fills a directory faster than it is
/// emptied, `ESTALE` if a directory is moved during the removal.
pub fn remove(directory: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    remove_in(directory.as_fd(), name)
}

/// Removes all that is in an open directory, and keeps it.
///
/// # Errors
/// As [`remove`].
pub fn empty(directory: impl AsFd) -> Result<(), Errno> {
    let directory = directory.as_fd();
    for _ in 0..ROUNDS {
        let entries = listing::entries(directory)?;
        if entries.is_empty() {
            return Ok(());
        }
        entries.iter().try_for_each(|(name, _)| remove_in(directory, name))?;
    }
    Err(Errno::NOTEMPTY)
}

/// A directory that is being emptied.
struct Level {
    name: Vec<u8>,
    /// `None` when many levels are below it.
    opened: Option<OwnedFd>,
    /// Device and inode, once it is closed.
    identity: (u64, u64),
    /// Names that a pass saw and that are not removed yet.
    left: Vec<listing::Entry>,
    rounds: usize,
}

fn remove_in(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let mut levels: Vec<Level> = Vec::new();
    levels.extend(unlink_or_enter(directory, name)?);
    while let Some(mut level) = levels.pop() {
        let opened = level.opened.as_ref().ok_or(Errno::BADF)?;
        if let Some((name, _)) = level.left.pop() {
            let inner = unlink_or_enter(opened.as_fd(), &name)?;
            levels.push(level);
            levels.extend(inner);
            let upper = levels.len().checked_sub(OPEN).and_then(|index| levels.get_mut(index));
            upper.map_or(Ok(()), Level::close)?;
            continue;
        }
        let parent = match levels.last_mut() {
            None => directory,
            Some(upper) => upper.open_above(opened.as_fd())?.as_fd(),
        };
        match remove_empty(parent, &level.name, opened) {
            // Filled again, or a name was missed.
            Err(Errno::NOTEMPTY | Errno::EXIST) if level.rounds < ROUNDS => {
                level.left = pass(opened.as_fd())?;
                level.rounds += 1;
                levels.push(level);
            }
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Level {
    fn close(&mut self) -> Result<(), Errno> {
        if let Some(opened) = self.opened.take() {
            let stat = rustix::fs::fstat(opened)?;
            self.identity = (stat.st_dev, stat.st_ino);
        }
        Ok(())
    }

    /// Opens this directory as the parent of `below`.
    fn open_above(&mut self, below: BorrowedFd<'_>) -> Result<&OwnedFd, Errno> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let opened = rustix::fs::openat(below, "..", flags, Mode::empty())?;
                let stat = rustix::fs::fstat(&opened)?;
                if (stat.st_dev, stat.st_ino) != self.identity {
                    return Err(Errno::STALE);
                }
                opened
            }
        };
        Ok(self.opened.insert(opened))
    }
}

/// Removes a name that is not a directory. For a directory: returns its content.
fn unlink_or_enter(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Level>, Errno> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR) => {}
        Err(Errno::PERM) => {
            // Immutable or append-only, itself or its directory.
            make_changeable(directory)?;
            let kind = listing::look_up(directory, name)?;
            // Opening a device can do something.
            if kind == Some(Kind::File) {
                make_changeable(open_file(directory, name)?)?;
            }
            match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => return Ok(None),
                // POSIX has this error for a directory; Linux has EISDIR.
                Err(Errno::ISDIR | Errno::PERM) if kind == Some(Kind::Directory) => {}
                Err(error) => return Err(error),
            }
        }
        Err(error) => return Err(error),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match dir::open_plainly(directory, OsStr::from_bytes(name), flags) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let left = pass(opened.as_fd())?;
    Ok(Some(Level { name: name.to_vec(), opened: Some(opened), identity: (0, 0), left, rounds: 0 }))
}

/// A pass may miss names; then removing the directory fails.
fn pass(directory: BorrowedFd<'_>) -> Result<Vec<listing::Entry>, Errno> {
    match listing::pass(directory) {
        // Removed by another program.
        Err(Errno::NOENT) => Ok(Vec::new()),
        other => Ok(other?.entries()),
    }
}

fn remove_empty(parent: BorrowedFd<'_>, name: &[u8], opened: &OwnedFd) -> Result<(), Errno> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::PERM) => {
            make_changeable(parent)?;
            make_changeable(opened)?;
            rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
        }
        other => other,
    }
}

/// Clears the flags that keep a file from being removed (chattr(1), `i` and `a`).
fn make_changeable(file: impl AsFd) -> Result<(), Errno> {
    change_flags(file, |flags| flags.difference(IFlags::IMMUTABLE | IFlags::APPEND))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_tree_goes_with_what_links_in_it_lead_to_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("tree/a/b/c")).unwrap();
        fs::write(place.path().join("tree/a/b/file"), "x").unwrap();
        fs::write(place.path().join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(place.path(), place.path().join("tree/a/link")).unwrap();
        let opened = fs::File::open(place.path()).unwrap();
        remove(&opened, b"tree").unwrap();
        remove(&opened, b"tree").unwrap();
        assert_eq!(listing::entries(&opened).unwrap(), [(b"kept".to_vec(), Kind::File)]);
        empty(&opened).unwrap();
        assert_eq!(listing::entries(&opened).unwrap(), []);
    }

    /// Deeper than a path can name, than there may be open files, and than this small stack could recur.
    #[test]
    fn a_tree_of_any_depth_goes() {
        const DEPTH: usize = 2500;
        let place = tempfile::tempdir().unwrap();
        let top = fs::File::open(place.path()).unwrap();
        let mut directory = top.try_clone().unwrap().into();
        for level in 0..DEPTH {
            rustix::fs::mkdirat(&directory, "d", Mode::from_raw_mode(0o755)).unwrap();
            if level % 500 == 0 {
                rustix::fs::mkdirat(&directory, "beside", Mode::from_raw_mode(0o755)).unwrap();
            }
            directory = crate::inode::open(&directory, b"d").unwrap();
        }
        drop(directory);
        let small = std::thread::Builder::new().stack_size(128 << 10);
        std::thread::scope(|scope| {
            small.spawn_scoped(scope, || remove(&top, b"d").unwrap()).unwrap();
        });
        assert_eq!(listing::entries(&top).unwrap(), [(b"beside".to_vec(), Kind::Directory)]);
    }

    #[test]
    fn a_directory_that_is_being_filled_goes_when_that_ends() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let opened = fs::File::open(place.path()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..300).for_each(|number| drop(fs::write(tree.join(number.to_string()), ""))));
            // Either all of it is seen, or writing fails once the directory is gone.
            while remove(&opened, b"tree") == Err(Errno::NOTEMPTY) {}
        });
        assert_eq!(listing::entries(&opened).unwrap(), []);
    }
}
