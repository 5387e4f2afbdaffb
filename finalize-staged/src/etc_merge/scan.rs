//! Finds what the machine changed: reads three trees, side by side.

use std::cmp::Ordering;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, tree, xattr};

use super::difference::Difference;
use super::path::EtcPath;

/// The three directories that a merge begins with.
#[derive(Debug)]
pub(crate) struct Trees {
    /// `usr/etc` of the merge deployment; `None`: it has none, and all that the machine has is its own.
    pub(crate) shipped: Option<OwnedFd>,
    /// `etc` of the merge deployment.
    pub(crate) machine: OwnedFd,
    /// What the new deployment's `etc` is before the merge.
    pub(crate) new: OwnedFd,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// `/etc` itself, with all that differs in it.
    pub(crate) root: Difference,
    /// Devices, fifos and sockets: they are not carried over.
    pub(crate) skipped: Vec<Skipped>,
    /// What whoever only looks may not read; it counts as unchanged.
    pub(crate) unreadable: Vec<EtcPath>,
}

/// A special file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Where.
    pub(crate) path: EtcPath,
    /// Whether something was shipped there.
    pub(crate) shipped: bool,
}

/// Compares. With `lenient`, what cannot be read for want of permission is noted, and no error.
pub(crate) fn scan(trees: &Trees, lenient: bool) -> Result<Scanned, SystemError> {
    let mut scanner = Scanner { lenient, skipped: Vec::new(), unreadable: Vec::new(), comparer: Comparer::default() };
    let path = EtcPath::default();
    let shipped = trees.shipped.as_ref().map(AsFd::as_fd);
    let machine = trees.machine.as_fd();
    let changed = match shipped {
        Some(shipped) => {
            let stats = [shipped, machine].map(rustix::fs::fstat);
            let [one, other] = stats;
            let (one, other) = (one.context("look at", &path)?, other.context("look at", &path)?);
            attributes(&one) != attributes(&other)
                || !same_extended_attributes(shipped, machine).context("read the attributes of", &path)?
        }
        None => true,
    };
    let root = Difference {
        name: Vec::new(),
        shipped: shipped.map(|_| Kind::Directory),
        machine: Some(Kind::Directory),
        changed,
        new: Some(Kind::Directory),
        below: scanner.directory(shipped, machine, Some(trees.new.as_fd()), &path)?,
    };
    Ok(Scanned { root, skipped: scanner.skipped, unreadable: scanner.unreadable })
}

struct Scanner {
    lenient: bool,
    skipped: Vec<Skipped>,
    unreadable: Vec<EtcPath>,
    comparer: Comparer,
}

/// A directory of each tree, where it is there.
#[derive(Clone, Copy)]
struct Place<'a> {
    shipped: Option<BorrowedFd<'a>>,
    machine: BorrowedFd<'a>,
    new: Option<BorrowedFd<'a>>,
}

impl Scanner {
    fn directory(
        &mut self,
        shipped: Option<BorrowedFd<'_>>,
        machine: BorrowedFd<'_>,
        new: Option<BorrowedFd<'_>>,
        path: &EtcPath,
    ) -> Result<Vec<Difference>, SystemError> {
        let place = Place { shipped, machine, new };
        let shipped = match shipped {
            Some(directory) => tree::entries(directory).context("list", format_args!("{path} as shipped"))?,
            None => Vec::new(),
        };
        let machine = match tree::entries(machine) {
            // Removed while this was running: nothing is in it.
            Err(Errno::NOENT) => Vec::new(),
            other => other.context("list", path)?,
        };
        let names = side_by_side(shipped, machine);
        let same = self.comparer.all(place, &names);
        let mut differences = Vec::new();
        for (Name { name, shipped, machine }, same) in names.into_iter().zip(same) {
            differences.extend(match (shipped, machine) {
                (Some(kind), None) => self.removed(place, name, kind, path)?,
                (shipped, Some(machine)) => self.compared(place, name, shipped, machine, same, path)?,
                (None, None) => None,
            });
        }
        Ok(differences)
    }

    fn removed(
        &mut self,
        place: Place<'_>,
        name: Vec<u8>,
        shipped: Kind,
        path: &EtcPath,
    ) -> Result<Option<Difference>, SystemError> {
        let new = kind_in(place.new, &name).context("look at", format_args!("{} in the new tree", path.join(&name)))?;
        Ok(Some(Difference { name, shipped: Some(shipped), machine: None, changed: true, new, below: Vec::new() }))
    }

    /// One name that the machine has.
    fn compared(
        &mut self,
        place: Place<'_>,
        name: Vec<u8>,
        shipped: Option<Kind>,
        machine: Kind,
        same: Result<bool, Errno>,
        path: &EtcPath,
    ) -> Result<Option<Difference>, SystemError> {
        if same == Ok(true) && machine != Kind::Directory {
            return Ok(None);
        }
        let here = path.join(&name);
        if machine == Kind::Other {
            // As if it had never been there: the shipped file, if there is one, is what the new tree has.
            self.skipped.push(Skipped { path: here, shipped: shipped.is_some() });
            return Ok(None);
        }
        let changed = match same {
            Ok(same) => !same,
            // Gone since the directory was listed.
            Err(Errno::NOENT) => return self.vanished(place, name, shipped, path),
            // Another kind of file since then: changed, whatever it is when it is copied.
            Err(Errno::LOOP | Errno::NOTDIR) => true,
            Err(Errno::ACCESS | Errno::PERM) if self.lenient => {
                self.unreadable.push(here);
                return Ok(None);
            }
            Err(error) => return Err(error).context("compare", here),
        };
        let new = kind_in(place.new, &name).context("look at", format_args!("{here} in the new tree"))?;
        let mut below = Vec::new();
        if machine == Kind::Directory {
            let machine = match tree::open(place.machine, &name) {
                Err(Errno::NOENT | Errno::NOTDIR) => return self.vanished(place, name, shipped, path),
                Err(Errno::ACCESS) if self.lenient => {
                    self.unreadable.push(here);
                    return Ok(None);
                }
                other => other.context("open", &here)?,
            };
            let open = |directory: Option<BorrowedFd<'_>>, kind: Option<Kind>| match (directory, kind) {
                (Some(directory), Some(Kind::Directory)) => tree::open(directory, &name).map(Some),
                _ => Ok(None),
            };
            let shipped = open(place.shipped, shipped).context("open", format_args!("{here} as shipped"))?;
            let new = open(place.new, new).context("open", format_args!("{here} in the new tree"))?;
            let (shipped, new) = (shipped.as_ref().map(AsFd::as_fd), new.as_ref().map(AsFd::as_fd));
            below = self.directory(shipped, machine.as_fd(), new, &here)?;
        }
        let differs = changed || !below.is_empty();
        Ok(differs.then_some(Difference { name, shipped, machine: Some(machine), changed, new, below }))
    }

    fn vanished(
        &mut self,
        place: Place<'_>,
        name: Vec<u8>,
        shipped: Option<Kind>,
        path: &EtcPath,
    ) -> Result<Option<Difference>, SystemError> {
        match shipped {
            Some(kind) => self.removed(place, name, kind, path),
            None => Ok(None),
        }
    }
}

/// One name in a directory of both trees.
struct Name {
    name: Vec<u8>,
    shipped: Option<Kind>,
    machine: Option<Kind>,
}

/// Joins two sorted lists of names.
fn side_by_side(shipped: Vec<(Vec<u8>, Kind)>, machine: Vec<(Vec<u8>, Kind)>) -> Vec<Name> {
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

/// Compares what has one name in two directories.
#[derive(Default)]
struct Comparer {
    /// Of the two files that are being compared.
    one: Vec<u8>,
    other: Vec<u8>,
}

impl Comparer {
    /// Whether each name is the same in both. Most of the time goes into waiting for the kernel, one file at a time: two
    /// halves of a large directory are compared side by side.
    fn all(&mut self, place: Place<'_>, names: &[Name]) -> Vec<Result<bool, Errno>> {
        /// Below this a thread costs more than it saves.
        const WORTH_A_THREAD: usize = 64;
        let (mine, others) = names.split_at(if names.len() < WORTH_A_THREAD { names.len() } else { names.len() / 2 });
        if others.is_empty() {
            return self.in_turn(place, mine);
        }
        std::thread::scope(|scope| {
            let helper =
                std::thread::Builder::new().spawn_scoped(scope, || Comparer::default().in_turn(place, others)).ok();
            let mut all = self.in_turn(place, mine);
            // One that could not be started, or did not come to an end, leaves its half to this one.
            match helper.and_then(|helper| helper.join().ok()) {
                Some(rest) => all.extend(rest),
                None => all.extend(self.in_turn(place, others)),
            }
            all
        })
    }

    fn in_turn(&mut self, place: Place<'_>, names: &[Name]) -> Vec<Result<bool, Errno>> {
        names.iter().map(|name| self.one_name(place, name)).collect()
    }

    fn one_name(&mut self, place: Place<'_>, name: &Name) -> Result<bool, Errno> {
        match (name.shipped, name.machine, place.shipped) {
            (Some(shipped), Some(machine), Some(directory)) if shipped == machine => {
                self.same(directory, place.machine, &name.name, machine)
            }
            _ => Ok(false),
        }
    }

    /// Whether one name of one kind is the same in two directories.
    fn same(
        &mut self,
        shipped: BorrowedFd<'_>,
        machine: BorrowedFd<'_>,
        name: &[u8],
        kind: Kind,
    ) -> Result<bool, Errno> {
        let [one, other] =
            [shipped, machine].map(|directory| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW));
        let (one, other) = (one?, other?);
        if attributes(&one) != attributes(&other) {
            return Ok(false);
        }
        match kind {
            Kind::Link => {
                let target = |directory| rustix::fs::readlinkat(directory, name, Vec::new());
                Ok(target(shipped)? == target(machine)?)
            }
            Kind::Directory => same_extended_attributes(tree::open(shipped, name)?, tree::open(machine, name)?),
            Kind::File => {
                if one.st_size != other.st_size {
                    return Ok(false);
                }
                let (shipped, machine) = (tree::open_file(shipped, name)?, tree::open_file(machine, name)?);
                Ok(self.same_content(&shipped, &machine, one.st_size.unsigned_abs())?
                    && same_extended_attributes(shipped, machine)?)
            }
            Kind::Other => Ok(true),
        }
    }

    fn same_content(&mut self, one: &OwnedFd, other: &OwnedFd, size: u64) -> Result<bool, Errno> {
        const PIECE: usize = 64 << 10;
        self.one.resize(PIECE, 0);
        self.other.resize(PIECE, 0);
        let mut left = size;
        while left > 0 {
            let count = tree::fill(one, &mut self.one)?;
            if count != tree::fill(other, &mut self.other)? || self.one.get(..count) != self.other.get(..count) {
                return Ok(false);
            }
            if count == 0 {
                // Both shorter than they were a moment ago.
                return Ok(true);
            }
            left = left.saturating_sub(count as u64);
        }
        Ok(true)
    }
}

/// What counts of a file besides its content: times do not.
fn attributes(stat: &Stat) -> (FileType, u32, u32, u32) {
    (FileType::from_raw_mode(stat.st_mode), stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)
}

/// Whether the extended attributes that an administrator sets are the same. Labels of security modules are not among them: they
/// differ between `usr/etc` and `etc` everywhere, and comparing them would keep every shipped file for ever.
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

fn kind_in(directory: Option<BorrowedFd<'_>>, name: &[u8]) -> Result<Option<Kind>, Errno> {
    let Some(directory) = directory else { return Ok(None) };
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(tree::kind(FileType::from_raw_mode(stat.st_mode)))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
