//! Finds what the machine changed: reads three trees, side by side.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, tree};

use super::compare::{Comparer, Name, Place, same_attributes, side_by_side};
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
        Some(shipped) => !same_attributes(shipped, machine).context("compare", &path)?,
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

fn kind_in(directory: Option<BorrowedFd<'_>>, name: &[u8]) -> Result<Option<Kind>, Errno> {
    let Some(directory) = directory else { return Ok(None) };
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(tree::kind(FileType::from_raw_mode(stat.st_mode)))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}
