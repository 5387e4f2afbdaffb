//! Compares files of the same name in two directories. Reads.

use std::cmp::Ordering;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Advice, AtFlags, FileType, Stat};
use rustix::io::Errno;
use system::dir::Kind;
use system::{tree, xattr};

use super::known::{Known, Pair};

/// A directory of each tree, if it exists there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) shipped: Option<BorrowedFd<'a>>,
    pub(crate) machine: BorrowedFd<'a>,
    pub(crate) new: Option<BorrowedFd<'a>>,
}

/// One name in a directory of the two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: Vec<u8>,
    pub(crate) shipped: Option<Kind>,
    pub(crate) machine: Option<Kind>,
}

/// Joins two sorted lists of names.
pub(crate) fn side_by_side(shipped: Vec<(Vec<u8>, Kind)>, machine: Vec<(Vec<u8>, Kind)>) -> Vec<Name> {
    let (mut shipped, mut machine) = (shipped.into_iter().peekable(), machine.into_iter().peekable());
    let mut names = Vec::new();
    loop {
        let order = match (shipped.peek(), machine.peek()) {
            (None, None) => return names,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let one = if order.is_le() { shipped.next() } else { None };
        let other = if order.is_ge() { machine.next() } else { None };
        let kinds = (one.as_ref().map(|(_, kind)| *kind), other.as_ref().map(|(_, kind)| *kind));
        names.extend(one.or(other).map(|(name, _)| Name { name, shipped: kinds.0, machine: kinds.1 }));
    }
}

/// What a comparison shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// They differ.
    Differ,
    /// They are the same; two files for which that can be recorded are in the pair.
    Same(Option<Pair>),
}

impl Compared {
    fn is(same: bool) -> Self {
        if same { Self::Same(None) } else { Self::Differ }
    }
}

/// Compares files of the same name in two directories.
#[derive(Debug)]
pub(crate) struct Comparer<'a> {
    /// Files that need not be read.
    known: &'a Known,
    /// Buffers for the two files that are being compared.
    one: Vec<u8>,
    other: Vec<u8>,
}

/// The result for a name before the content of files is read.
enum Look {
    Known(Compared),
    /// Two files that are the same except possibly for content and extended attributes.
    Files {
        shipped: OwnedFd,
        machine: OwnedFd,
        size: u64,
        pair: Pair,
    },
}

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 64 << 10;

impl<'a> Comparer<'a> {
    /// One that does not read files that are `known` to be the same.
    pub(crate) fn new(known: &'a Known) -> Self {
        Self { known, one: Vec::new(), other: Vec::new() }
    }

    /// Whether each name is the same in both. Most of the time is waiting for the kernel or the disk, so parts of a large directory
    /// are compared in parallel.
    pub(crate) fn all(&mut self, place: Place<'_>, names: &[Name]) -> Vec<Result<Compared, Errno>> {
        /// For fewer names a thread costs more than it saves.
        const WORTH_A_THREAD: usize = 64;
        /// More than the processors of small machines, because with a cold cache the threads wait for the disk.
        const MOST: usize = 4;
        let parts = (names.len() / WORTH_A_THREAD).clamp(1, MOST);
        let (mine, others) = names.split_at(names.len().div_ceil(parts));
        if others.is_empty() {
            return self.in_turn(place, mine);
        }
        let known = self.known;
        std::thread::scope(|scope| {
            let others = others.chunks(mine.len()).map(|part| {
                let compare = move || Comparer::new(known).in_turn(place, part);
                (part, std::thread::Builder::new().spawn_scoped(scope, compare).ok())
            });
            let others: Vec<_> = others.collect();
            let mut all = self.in_turn(place, mine);
            for (part, thread) in others {
                // If a thread could not be started, or has panicked, this one does its part.
                match thread.and_then(|thread| thread.join().ok()) {
                    Some(rest) => all.extend(rest),
                    None => all.extend(self.in_turn(place, part)),
                }
            }
            all
        })
    }

    /// Compares some at a time: it requests the content of all of them from the disk before it waits for the first. So the disk has
    /// many requests at once, and is not idle between two of them.
    fn in_turn(&mut self, place: Place<'_>, names: &[Name]) -> Vec<Result<Compared, Errno>> {
        /// Each has two open files: with all threads half of the default limit of open files (1,024).
        const AT_A_TIME: usize = 64;
        let mut all = Vec::with_capacity(names.len());
        for some in names.chunks(AT_A_TIME) {
            let looks: Vec<_> = some.iter().map(|name| look_at(place, name, self.known)).collect();
            all.extend(looks.into_iter().map(|look| match look? {
                Look::Known(compared) => Ok(compared),
                Look::Files { shipped, machine, size, pair } => {
                    let same =
                        self.same_content(&shipped, &machine, size)? && same_extended_attributes(shipped, machine)?;
                    Ok(if same { Compared::Same(Some(pair)) } else { Compared::Differ })
                }
            }));
        }
        all
    }

    fn same_content(&mut self, one: &OwnedFd, other: &OwnedFd, size: u64) -> Result<bool, Errno> {
        self.one.resize(PIECE, 0);
        self.other.resize(PIECE, 0);
        let mut left = size;
        while left > 0 {
            let count = tree::fill(one, &mut self.one)?;
            if count != tree::fill(other, &mut self.other)? || self.one.get(..count) != self.other.get(..count) {
                return Ok(false);
            }
            if count == 0 {
                // Both files have been truncated meanwhile.
                return Ok(true);
            }
            left = left.saturating_sub(count as u64);
        }
        Ok(true)
    }
}

/// Compares everything but the content of files, which it requests from the disk without waiting.
fn look_at(place: Place<'_>, name: &Name, known: &Known) -> Result<Look, Errno> {
    let differ = Ok(Look::Known(Compared::Differ));
    let (Some(kind), Some(shipped)) = (name.machine.filter(|_| name.shipped == name.machine), place.shipped) else {
        return differ;
    };
    let (machine, name) = (place.machine, name.name.as_slice());
    let [one, other] =
        [shipped, machine].map(|directory| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW));
    let (one, other) = (one?, other?);
    if attributes(&one) != attributes(&other) || kind == Kind::File && one.st_size != other.st_size {
        return differ;
    }
    Ok(Look::Known(match kind {
        Kind::Link => {
            let target = |directory| rustix::fs::readlinkat(directory, name, Vec::new());
            Compared::is(target(shipped)? == target(machine)?)
        }
        Kind::Other => Compared::Same(None),
        Kind::File | Kind::Directory if known.has(&Pair::of(&one, &other)) => Compared::Same(None),
        Kind::Directory => {
            let (shipped, machine) = (tree::open(shipped, name)?, tree::open(machine, name)?);
            let pair = pair(&shipped, &machine)?;
            if same_extended_attributes(shipped, machine)? { Compared::Same(Some(pair)) } else { Compared::Differ }
        }
        Kind::File => {
            let (shipped, machine) = (tree::open_file(shipped, name)?, tree::open_file(machine, name)?);
            for file in [&shipped, &machine] {
                // Only advice: if the kernel ignores it, reading waits longer.
                let _ = rustix::fs::fadvise(file, 0, NonZeroU64::new(PIECE as u64), Advice::WillNeed);
            }
            let pair = pair(&shipped, &machine)?;
            return Ok(Look::Files { shipped, machine, size: one.st_size.unsigned_abs(), pair });
        }
    }))
}

/// Of what is open, because another file may have got the name meanwhile.
fn pair(shipped: &OwnedFd, machine: &OwnedFd) -> Result<Pair, Errno> {
    Ok(Pair::of(&rustix::fs::fstat(shipped)?, &rustix::fs::fstat(machine)?))
}

/// Whether owner, mode and extended attributes of two open directories are the same.
pub(crate) fn same_attributes(one: impl AsFd, other: impl AsFd) -> Result<bool, Errno> {
    let same = attributes(&rustix::fs::fstat(&one)?) == attributes(&rustix::fs::fstat(&other)?);
    Ok(same && same_extended_attributes(one, other)?)
}

/// The attributes that are compared; times are not.
fn attributes(stat: &Stat) -> (FileType, u32, u32, u32) {
    (FileType::from_raw_mode(stat.st_mode), stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)
}

/// Whether the extended attributes that an administrator sets are the same. Labels of security modules are not compared: they
/// differ between `usr/etc` and `etc` for every file, so every shipped file would count as changed.
fn same_extended_attributes(one: impl AsFd, other: impl AsFd) -> Result<bool, Errno> {
    let (names, other_names) = (counting_names(&one)?, counting_names(&other)?);
    if names != other_names {
        return Ok(false);
    }
    for name in &names {
        if xattr::get(&one, name)? != xattr::get(&other, name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn counting_names(file: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    const COUNTING: [&[u8]; 3] = [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];
    let mut names = xattr::names(file)?;
    names.retain(|name| {
        COUNTING.contains(&name.as_slice()) || (name.starts_with(b"user.") && name != b"user.ostreemeta")
    });
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[(&str, Kind)]) -> Vec<(Vec<u8>, Kind)> {
        list.iter().map(|(name, kind)| (name.as_bytes().to_vec(), *kind)).collect()
    }

    #[test]
    fn names_of_both_are_joined_in_order() {
        let (shipped, machine) =
            (names(&[("a", Kind::File), ("c", Kind::Link)]), names(&[("b", Kind::File), ("c", Kind::Directory)]));
        let joined: Vec<_> =
            side_by_side(shipped, machine).into_iter().map(|name| (name.shipped, name.machine)).collect();
        assert_eq!(
            joined,
            [(Some(Kind::File), None), (None, Some(Kind::File)), (Some(Kind::Link), Some(Kind::Directory))]
        );
    }

    /// All parts are compared, each in its own thread, and the answers are in the order of the names.
    #[test]
    fn every_name_of_a_large_directory_has_its_own_answer() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut names = Vec::new();
        for number in 0..600 {
            let name = format!("{number:03}");
            std::fs::write(one.path().join(&name), "same").unwrap();
            std::fs::write(other.path().join(&name), if number % 7 == 0 { "else" } else { "same" }).unwrap();
            names.push(Name { name: name.into_bytes(), shipped: Some(Kind::File), machine: Some(Kind::File) });
        }
        let open = |directory: &tempfile::TempDir| std::fs::File::open(directory.path()).unwrap();
        let (one, other) = (open(&one), open(&other));
        let place = Place { shipped: Some(one.as_fd()), machine: other.as_fd(), new: None };
        let same = Comparer::new(&Known::default()).all(place, &names);
        assert!(
            same.iter().enumerate().all(|(number, same)| matches!(same, Ok(Compared::Same(_))) == (number % 7 != 0)),
            "{same:?}"
        );
    }
}
