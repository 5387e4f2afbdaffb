//! Lists of directories that other programs write to.
//!
//! A single pass of `getdents64(2)` does not prove that a name is absent. On btrfs, and on tmpfs since Linux 6.6, a name that is replaced by a
//! rename gets a new place in its directory, and a pass that has begun before the rename does not see the new place.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use crate::kind::{Kind, kind};

/// How often a directory that keeps changing is listed.
const PASSES: usize = 12;
/// One call of `getdents64(2)` is atomic towards renames: with this much room nearly every directory is one call.
const BUFFER: usize = 64 << 10;

/// A name of any bytes, and its kind.
pub type Entry = (Vec<u8>, Kind);

/// The content of an open directory, sorted by name, without `.` and `..`. A name that exists during the whole call is never missed,
/// even if renames replace it all the time: the directory is listed until two passes agree and it did not change between them. If it
/// never stops changing, every name that any pass saw is looked up.
///
/// A name can disappear, or become another kind of file, as soon as this returns. Before a single name is reported as absent, look
/// it up: names that are added and renamed without a pause can be missed by every pass.
///
/// # Errors
/// As `getdents64(2)`, and `statx(2)` where the filesystem does not say what a name is, or where the directory keeps changing.
pub fn entries(directory: impl AsFd) -> Result<Vec<Entry>, Errno> {
    settled(directory.as_fd(), &mut pass)
}

/// [`entries`], with the way to make one pass.
fn settled(
    directory: BorrowedFd<'_>,
    pass: &mut dyn FnMut(BorrowedFd<'_>) -> Result<Pass, Errno>,
) -> Result<Vec<Entry>, Errno> {
    let mut before = version(directory)?;
    let mut last = pass(directory)?;
    let mut seen: Vec<Entry> = Vec::new();
    for _ in 1..PASSES {
        let next = pass(directory)?;
        let after = version(directory)?;
        let is_quiet = next == last && before == after;
        if is_quiet && seen.is_empty() {
            return Ok(next.entries());
        }
        seen.extend(last.entries());
        (before, last) = (after, next);
        if is_quiet {
            break;
        }
    }
    seen.extend(last.entries());
    seen.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    seen.dedup_by(|(one, _), (other, _)| one == other);
    let mut there = Vec::with_capacity(seen.len());
    for (name, _) in seen {
        if let Some(kind) = look_up(directory, &name)? {
            there.push((name, kind));
        }
    }
    Ok(there)
}

/// The kind of a name, links not followed; `None`: it does not exist.
///
/// # Errors
/// As `statx(2)`, but for `ENOENT`.
pub fn look_up(directory: impl AsFd, name: &[u8]) -> Result<Option<Kind>, Errno> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(kind(FileType::from_raw_mode(stat.st_mode)))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A value that changes with every change of a directory, as exactly as its filesystem measures time.
fn version(directory: BorrowedFd<'_>) -> Result<(i64, i64), Errno> {
    let stat: Stat = rustix::fs::fstat(directory)?;
    Ok((stat.st_ctime, stat.st_ctime_nsec as i64))
}

/// The result of one pass in the order of the directory: for each name its kind, the name and a zero byte. Two passes over an
/// unchanged directory give the same bytes, and only one of them is parsed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pass(Vec<u8>);

impl Pass {
    /// The names, sorted.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let records = self.0.split(|byte| *byte == 0).filter_map(|record| record.split_first());
        let mut entries: Vec<Entry> = records
            .map(|(kind, name)| {
                let kind = match kind {
                    b'f' => Kind::File,
                    b'd' => Kind::Directory,
                    b'l' => Kind::Link,
                    _ => Kind::Other,
                };
                (name.to_vec(), kind)
            })
            .collect();
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        entries
    }
}

/// One pass, which can miss a name. Opens the directory again, because btrfs decides at this moment up to which position a pass
/// reads.
pub(crate) fn pass(directory: BorrowedFd<'_>) -> Result<Pass, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    let mut buffer: Vec<u8> = Vec::with_capacity(BUFFER);
    let mut seen = Vec::new();
    let mut raw = RawDir::new(opened, buffer.spare_capacity_mut());
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => match look_up(directory, name)? {
                Some(kind) => kind,
                None => continue,
            },
            known => kind(known),
        };
        seen.push(match kind {
            Kind::File => b'f',
            Kind::Directory => b'd',
            Kind::Link => b'l',
            Kind::Other => b'o',
        });
        seen.extend_from_slice(entry.file_name().to_bytes_with_nul());
    }
    Ok(Pass(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory_with(names: &[&str]) -> (tempfile::TempDir, std::fs::File) {
        let directory = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| std::fs::write(directory.path().join(name), "").unwrap());
        let opened = std::fs::File::open(directory.path()).unwrap();
        (directory, opened)
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect()
    }

    fn without(pass: &Pass, missed: &str) -> Pass {
        let record = format!("f{missed}").into_bytes();
        let kept = pass.0.split_inclusive(|byte| *byte == 0).filter(|kept| kept.strip_suffix(b"\0") != Some(&record));
        Pass(kept.flatten().copied().collect())
    }

    #[test]
    fn a_name_that_one_pass_misses_is_there() {
        let (_directory, opened) = directory_with(&["group", "passwd", "shadow"]);
        for missing in 0..2 {
            let mut count = 0;
            let found = settled(opened.as_fd(), &mut |directory| {
                count += 1;
                let seen = pass(directory)?;
                Ok(if count == missing + 1 { without(&seen, "shadow") } else { seen })
            });
            assert_eq!(names(&found.unwrap()), ["group", "passwd", "shadow"], "missed by pass {missing}");
        }
    }

    #[test]
    fn a_directory_that_never_settles_has_what_any_pass_saw_and_is_there() {
        let (directory, opened) = directory_with(&["passwd", "shadow"]);
        let mut count = 0;
        let found = settled(opened.as_fd(), &mut |opened| {
            count += 1;
            let new = directory.path().join(format!("new{count}"));
            std::fs::write(&new, "").unwrap();
            let seen = pass(opened)?;
            std::fs::rename(new, directory.path().join("passwd")).unwrap();
            // Seen once only, early on.
            Ok(if count == 2 { seen } else { without(&seen, "shadow") })
        });
        assert_eq!(names(&found.unwrap()), ["passwd", "shadow"]);
        assert_eq!(count, PASSES);
    }

    #[test]
    fn a_large_directory_is_listed_whole() {
        let many: Vec<String> = (0..5000).map(|number| format!("{number:05}-{}", "x".repeat(40))).collect();
        let (_directory, opened) = directory_with(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(names(&entries(&opened).unwrap()), many);
    }
}
