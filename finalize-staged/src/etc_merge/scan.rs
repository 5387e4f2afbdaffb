//! Finds what the machine changed: reads three trees, side by side.

//!
//! Other programs write to `/etc` meanwhile. That something is not there is never concluded from a listing, but asked for by its name.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, tree};

use super::compare::{Comparer, Name, Place, same_attributes, side_by_side};
use super::difference::Difference;
use super::path::EtcPath;
use crate::error::Error;

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
    /// `/etc` itself, and all that differs in it.
    pub(crate) differences: Vec<Difference>,
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
pub(crate) fn scan(trees: &Trees, lenient: bool) -> Result<Scanned, Error> {
    let mut scanner =
        Scanner { trees, lenient, skipped: Vec::new(), unreadable: Vec::new(), comparer: Comparer::default() };
    let etc = EtcPath::default();
    let changed = match &trees.shipped {
        Some(shipped) => !same_attributes(shipped, &trees.machine).context("compare", &etc)?,
        None => true,
    };
    let directory = Some(Kind::Directory);
    let shipped = trees.shipped.as_ref().and(directory);
    let root = Difference { path: etc, parent: None, shipped, machine: directory, changed, new: directory };
    let differences = scanner.walk(root)?;
    Ok(Scanned { differences, skipped: scanner.skipped, unreadable: scanner.unreadable })
}

struct Scanner<'a> {
    trees: &'a Trees,
    lenient: bool,
    skipped: Vec<Skipped>,
    unreadable: Vec<EtcPath>,
    comparer: Comparer,
}

/// How often a directory that comes and goes is looked at anew.
const ATTEMPTS: usize = 16;

/// A directory that is in the list of differences, and what of it is not there yet.
struct Level {
    index: usize,
    left: std::vec::IntoIter<Difference>,
}

/// A directory of each tree, where it is there.
struct Opened {
    shipped: Option<OwnedFd>,
    machine: OwnedFd,
    new: Option<OwnedFd>,
}

impl Scanner<'_> {
    /// The list of differences that begins with the directory `root`. No directory stays open while those in it are looked at: there
    /// can be more levels than there may be open files.
    fn walk(&mut self, root: Difference) -> Result<Vec<Difference>, Error> {
        let mut differences = Vec::new();
        let mut levels: Vec<Level> = Vec::new();
        let mut next = Some(root);
        let mut again = 0;
        loop {
            if let Some(difference) = next.take() {
                let content = match difference.machine {
                    Some(Kind::Directory) if again < ATTEMPTS => self.content(&difference)?,
                    _ => Content::Nothing,
                };
                again = if matches!(content, Content::Vanished) { again + 1 } else { 0 };
                let index = differences.len();
                match content {
                    Content::Nothing => differences.push(difference),
                    Content::Unknown => {}
                    Content::Found(found) => {
                        let with_parent = |inner| Difference { parent: Some(index), ..inner };
                        let left: Vec<_> = found.into_iter().map(with_parent).collect();
                        differences.push(difference);
                        levels.push(Level { index, left: left.into_iter() });
                    }
                    // It is no directory any more.
                    Content::Vanished => next = self.looked_at_again(difference)?,
                }
                continue;
            }
            let Some(level) = levels.last_mut() else { return Ok(differences) };
            next = level.left.next();
            if next.is_none() {
                let index = level.index;
                levels.pop();
                let is_alone = differences.len() == index + 1 && !levels.is_empty();
                if is_alone && differences.last().is_some_and(|last| !last.changed) {
                    differences.pop();
                }
            }
        }
    }

    /// What may differ in a directory of the machine: each directory, and of other names those that do.
    fn content(&mut self, directory: &Difference) -> Result<Content, Error> {
        let path = &directory.path;
        if !path.fits() {
            return Err(Error::EtcTooDeep(path.shortened()));
        }
        let opened = match self.open(directory) {
            Ok(opened) => opened,
            Err(error) if is_vanished(error.reason) => return Ok(Content::Vanished),
            Err(error) if error.reason == Errno::ACCESS && self.lenient => {
                self.unreadable.push(path.clone());
                return Ok(Content::Unknown);
            }
            Err(error) => return Err(error.into()),
        };
        let (shipped, new) = (opened.shipped.as_ref().map(AsFd::as_fd), opened.new.as_ref().map(AsFd::as_fd));
        let place = Place { shipped, machine: opened.machine.as_fd(), new };
        let shipped = match shipped {
            Some(directory) => tree::entries(directory).context("list", format_args!("{path} as shipped"))?,
            None => Vec::new(),
        };
        let machine = match tree::entries(&opened.machine) {
            Err(Errno::NOENT) => return Ok(Content::Vanished),
            other => other.context("list", path)?,
        };
        let mut names = side_by_side(shipped, machine);
        for name in names.iter_mut().filter(|name| name.machine.is_none()) {
            name.machine = tree::look_up(&opened.machine, &name.name).context("look at", path.join(&name.name))?;
        }
        let same = self.comparer.all(place, &names);
        let mut found = Vec::new();
        for (name, same) in names.into_iter().zip(same) {
            found.extend(self.compared(place, name, same, path)?);
        }
        Ok(Content::Found(found))
    }

    fn open(&self, directory: &Difference) -> Result<Opened, SystemError> {
        let path = &directory.path;
        let open = |tree: Option<&OwnedFd>, kind: Option<Kind>| match (tree, kind) {
            (Some(tree), Some(Kind::Directory)) => below(tree, path).map(Some),
            _ => Ok(None),
        };
        // First: that another one vanishes is an error.
        let machine = below(&self.trees.machine, path).context("open", path)?;
        let shipped = open(self.trees.shipped.as_ref(), directory.shipped);
        let shipped = not_vanished(shipped).context("open", format_args!("{path} as shipped"))?;
        let new = open(Some(&self.trees.new), directory.new);
        let new = not_vanished(new).context("open", format_args!("{path} in the new tree"))?;
        Ok(Opened { shipped, machine, new })
    }

    /// One name, if it differs or is a directory.
    fn compared(
        &mut self,
        place: Place<'_>,
        name: Name,
        same: Result<bool, Errno>,
        path: &EtcPath,
    ) -> Result<Option<Difference>, SystemError> {
        let Name { name, shipped, machine } = name;
        if same == Ok(true) && machine != Some(Kind::Directory) {
            return Ok(None);
        }
        let here = path.join(&name);
        let (machine, changed) = match same {
            _ if matches!(machine, None | Some(Kind::Other)) => (machine, true),
            Ok(same) => (machine, !same),
            // Gone since the directory was listed, or another kind of file: changed, whatever it is when it is copied.
            Err(error) if is_vanished(error) || error == Errno::INVAL => {
                (tree::look_up(place.machine, &name).context("look at", &here)?, true)
            }
            Err(Errno::ACCESS | Errno::PERM) if self.lenient => {
                self.unreadable.push(here);
                return Ok(None);
            }
            Err(error) => return Err(error).context("compare", here),
        };
        if machine == Some(Kind::Other) {
            // As if it had never been there: the shipped file, if there is one, is what the new tree has.
            self.skipped.push(Skipped { path: here, shipped: shipped.is_some() });
            return Ok(None);
        }
        if (shipped, machine) == (None, None) {
            return Ok(None);
        }
        let new = match place.new {
            Some(new) => tree::look_up(new, &name).context("look at", format_args!("{here} in the new tree"))?,
            None => None,
        };
        Ok(Some(Difference { path: here, parent: None, shipped, machine, changed, new }))
    }

    /// What has become of a directory that vanished.
    fn looked_at_again(&self, was: Difference) -> Result<Option<Difference>, SystemError> {
        let machine = match was.path.split() {
            None => return Err(Errno::NOENT).context("open", &was.path),
            Some((parent, name)) => match below(&self.trees.machine, &parent) {
                Ok(parent) => tree::look_up(parent, name).context("look at", &was.path)?,
                Err(error) if is_vanished(error) => None,
                Err(error) => return Err(error).context("open", parent),
            },
        };
        let is_there = was.shipped.is_some() || machine.is_some();
        Ok(is_there
            .then_some(Difference { machine, changed: true, ..was })
            .filter(|now| now.machine != Some(Kind::Other)))
    }
}

/// What is in a directory.
enum Content {
    /// It is no directory.
    Nothing,
    /// It may not be read.
    Unknown,
    /// It is not there any more.
    Vanished,
    /// What may differ.
    Found(Vec<Difference>),
}

/// What is said of a name that is not there, or not what it was a moment ago.
fn is_vanished(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// In a tree that no other program writes to, what vanishes is no absence.
fn not_vanished<T>(opened: Result<T, Errno>) -> Result<T, Errno> {
    opened.map_err(|error| if is_vanished(error) { Errno::STALE } else { error })
}

/// Opens a directory of a tree; no link is followed.
fn below(tree: impl AsFd, path: &EtcPath) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(tree, path.relative(), flags, Mode::empty(), resolve)
}
