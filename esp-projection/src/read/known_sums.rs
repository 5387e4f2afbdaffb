//! Checksums of large files that were read since the boot: a run that finds nothing to do does not read them again.
//!
//! A file is the same as long as it is the same inode with the same time of change, which no program can set. The list is in a
//! directory that a reboot empties.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use ostree_formats::deployment::Checksum;
use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;
use system::dir;

use super::digest;

const DIRECTORY: &str = "run/ostree";
const NAME: &str = "esp-images";
const LIMIT: u64 = 64 << 10;
/// Of more of them, the oldest ones are forgotten.
const MOST: usize = 100;
/// A file that has just changed may change again without another time of change: that is the one of the last clock tick.
const SETTLED_AFTER: i64 = 2;

/// The list: what identifies a file, and its checksum.
#[derive(Debug, Default)]
pub(super) struct KnownSums {
    known: Vec<(String, Checksum)>,
    is_new: bool,
}

impl KnownSums {
    /// Reads it below the root of the system. One that is damaged, or not there, is empty.
    pub(super) fn read(system: impl AsFd) -> Self {
        let bytes = dir::read_no_link(system, format!("{DIRECTORY}/{NAME}"), LIMIT).unwrap_or_default();
        let line = |line: &str| {
            let (sum, version) = line.split_once(' ')?;
            Some((version.to_owned(), sum.parse().ok()?))
        };
        Self { known: String::from_utf8_lossy(&bytes).lines().filter_map(line).collect(), is_new: false }
    }

    /// The size and the checksum of an open file.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn of(&mut self, file: &OwnedFd) -> Result<(u64, Checksum), Errno> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.of_at(file, now)
    }

    fn of_at(&mut self, file: &OwnedFd, now: u64) -> Result<(u64, Checksum), Errno> {
        let stat = rustix::fs::fstat(file)?;
        let (size, version) = (stat.st_size.cast_unsigned(), version(&stat));
        if let Some((_, sum)) = self.known.iter().find(|(known, _)| *known == version) {
            return Ok((size, sum.clone()));
        }
        let sum = digest::of(file, &mut |_| Ok(()))?;
        let is_settled = stat.st_ctime.saturating_add(SETTLED_AFTER) <= now.cast_signed();
        if is_settled && is_same(file, &version)? {
            self.known.push((version, sum.clone()));
            self.is_new = true;
        }
        Ok((size, sum))
    }

    /// Writes it, if there is something new in it. It saves time alone: if that fails, files are read again.
    pub(super) fn write(&self, system: impl AsFd) {
        if !self.is_new {
            return;
        }
        let newest = self.known.iter().rev().take(MOST);
        let text: String = newest.rev().map(|(version, sum)| format!("{} {version}\n", sum.as_str())).collect();
        let write = || {
            let directory = dir::open(system, DIRECTORY, OFlags::RDONLY | OFlags::DIRECTORY)?;
            dir::replace_volatile_file(directory, NAME, text.as_bytes(), 0o600)
        };
        if let Err(error) = write() {
            log::debug!("cannot write /{DIRECTORY}/{NAME}: {error}");
        }
    }
}

fn is_same(file: &OwnedFd, before: &str) -> Result<bool, Errno> {
    Ok(version(&rustix::fs::fstat(file)?) == before)
}

/// Device, inode, size, time of change.
fn version(stat: &Stat) -> String {
    let Stat { st_dev, st_ino, st_size, st_ctime, st_ctime_nsec, .. } = stat;
    format!("{st_dev} {st_ino} {st_size} {st_ctime}.{st_ctime_nsec}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn open(path: &Path) -> OwnedFd {
        fs::File::open(path).unwrap().into()
    }

    fn sum(text: &str) -> Checksum {
        digest::of_text(text).unwrap()
    }

    /// Makes what is known of all files wrong, so that a use of it is seen.
    fn poison(list: &Path) {
        let text = fs::read_to_string(list).unwrap();
        let poisoned = text.lines().map(|line| format!("{}{}\n", "0".repeat(64), &line[64..]));
        fs::write(list, poisoned.collect::<String>()).unwrap();
    }

    #[test]
    fn a_file_is_read_once_and_again_after_a_change_of_the_same_size() {
        let root = tempfile::tempdir().unwrap();
        let (list, path) = (root.path().join("run/ostree/esp-images"), root.path().join("image"));
        let directory = open(root.path());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let at = |now: u64| {
            let mut sums = KnownSums::read(&directory);
            let found = sums.of_at(&open(&path), now).unwrap();
            sums.write(&directory);
            found
        };
        let of = || at(now() + 10);
        fs::write(&path, "one").unwrap();
        // Without the directory it works, too.
        assert_eq!(of(), (3, sum("one")));
        fs::create_dir_all(list.parent().unwrap()).unwrap();
        // Too young.
        fs::write(&path, "one").unwrap();
        assert_eq!(at(now()), (3, sum("one")));
        assert!(!list.exists());
        assert_eq!(of(), (3, sum("one")));
        poison(&list);
        assert_eq!(of().1.as_str(), "0".repeat(64));
        fs::write(&path, "two").unwrap();
        assert_eq!(of(), (3, sum("two")));
        fs::write(&list, [b"\xff\n".as_slice(), &[b'0'; 64], b" 1 2\n", b"0 1 2 3\n"].concat()).unwrap();
        assert_eq!(of(), (3, sum("two")));
    }
}
