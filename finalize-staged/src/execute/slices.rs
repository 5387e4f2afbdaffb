//! Removes a tree for a limited time; a later call goes on.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::tree;

/// The number of directories that are open at a time; a deeper directory is removed at once, whatever the time.
const DEEPEST: usize = 64;

/// Removes `path`, with its content, until `end`. Returns whether it is removed completely.
pub(crate) fn remove_until(root: &OwnedFd, path: &str, end: Instant) -> Result<bool, Errno> {
    let Some((parent, name)) = path.rsplit_once('/') else { return Ok(true) };
    let parent = dir::open(root, parent, OFlags::RDONLY | OFlags::DIRECTORY)?;
    match tree::kind_of(&parent, name.as_bytes()) {
        Ok(Kind::Directory) if !empty_until(open(&parent, name.as_bytes())?, end)? => return Ok(false),
        Ok(_) => {}
        Err(Errno::NOENT) => return Ok(true),
        Err(error) => return Err(error),
    }
    tree::remove(&parent, name.as_bytes())?;
    Ok(true)
}

fn open(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    use std::os::unix::ffi::OsStrExt;
    // A mount there is an error, and its content stays.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    dir::open_plainly(directory, std::ffi::OsStr::from_bytes(name), flags)
}

/// A directory that is being emptied.
struct Level {
    directory: OwnedFd,
    left: Vec<(Vec<u8>, Kind)>,
    /// The name of the subdirectory in the next level.
    inner: Option<Vec<u8>>,
}

fn empty_until(directory: OwnedFd, end: Instant) -> Result<bool, Errno> {
    let level = |directory: OwnedFd| Ok::<_, Errno>(Level { left: tree::entries(&directory)?, directory, inner: None });
    let mut levels = vec![level(directory)?];
    loop {
        let depth = levels.len();
        let Some(last) = levels.last_mut() else { return Ok(true) };
        let gone = match last.inner.take().map(|name| (name, Kind::Other)).or_else(|| last.left.pop()) {
            Some((name, Kind::Directory)) if depth < DEEPEST => {
                let inner = match open(&last.directory, &name) {
                    Err(Errno::NOENT) => continue,
                    other => other?,
                };
                last.inner = Some(name);
                levels.push(level(inner)?);
                continue;
            }
            Some((name, _)) => tree::remove(&last.directory, &name),
            None => {
                levels.pop();
                continue;
            }
        };
        gone?;
        // After the removal, so that each call removes something.
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    fn deep() -> (tempfile::TempDir, OwnedFd) {
        let root = tempfile::tempdir().unwrap();
        let mut path = root.path().join("old");
        fs::create_dir(&path).unwrap();
        for level in 0..100 {
            path = path.join(format!("{level}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join("file"), "").unwrap();
        }
        fs::create_dir(root.path().join("kept")).unwrap();
        std::os::unix::fs::symlink("../kept", root.path().join("old/link")).unwrap();
        let opened = OwnedFd::from(fs::File::open(root.path()).unwrap());
        (root, opened)
    }

    #[test]
    fn a_tree_is_removed_in_slices() {
        let (root, opened) = deep();
        let path = "./old";
        assert!(!remove_until(&opened, path, Instant::now()).unwrap(), "no time, and it is all gone");
        let mut slices = 0;
        while !remove_until(&opened, path, Instant::now() + Duration::from_micros(100)).unwrap() {
            slices += 1;
            assert!(slices < 100_000);
        }
        assert!(!root.path().join("old").exists() && root.path().join("kept").exists());
        assert!(remove_until(&opened, path, Instant::now()).unwrap(), "what is gone is gone");
    }
}
