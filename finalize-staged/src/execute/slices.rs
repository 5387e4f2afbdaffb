//! Removes a tree for as long as there is time, so that it can be gone on with later.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::tree;

/// Directories that are open at a time; what is deeper is removed without looking at the clock.
const DEEPEST: usize = 64;

/// Removes `path`, with all that is in it, until it is time to stop; whether it is gone.
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
    // What is mounted there is an error, and stays.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    dir::open_plainly(directory, std::ffi::OsStr::from_bytes(name), flags)
}

/// A directory that is being emptied.
struct Level {
    directory: OwnedFd,
    left: Vec<(Vec<u8>, Kind)>,
    /// The directory in it that the next level is about.
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
        // Only now: however slow it is to come here, each turn removes something.
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
