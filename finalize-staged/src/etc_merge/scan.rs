//! Finds the machine's changes: reads three trees side by side.
//!
//! Other programs write to `/etc` meanwhile. A name counts as missing only if a lookup of it fails, not if a listing lacks it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, tree};

use super::compare::{Compared, Comparer, Name, Place, same_attributes, side_by_side};
use super::difference::Difference;
use super::known::{self, Known, Pair};
use super::path::EtcPath;
use crate::error::Error;

/// The three directories of a merge.
#[derive(Debug)]
pub(crate) struct Trees {
    /// `usr/etc` of the merge deployment; `None`: it has none, and all files are the machine's own.
    pub(crate) shipped: Option<OwnedFd>,
    /// `etc` of the merge deployment.
    pub(crate) machine: OwnedFd,
    /// The new deployment's `etc` before the merge, or its `usr/etc`.
    pub(crate) new: OwnedFd,
}

/// The result of a scan.
#[derive(Debug)]
pub(crate) struct Scanned {
    /// `/etc` itself, and all differences in it.
    pub(crate) differences: Vec<Difference>,
    /// Devices, fifos and sockets: they are not copied.
    pub(crate) skipped: Vec<Skipped>,
    /// Files that `--plan` without root may not read; they count as unchanged.
    pub(crate) unreadable: Vec<EtcPath>,
    /// Files that were read and are the same.
    pub(crate) same: Vec<Pair>,
}

/// A special file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// Where.
    pub(crate) path: EtcPath,
    /// Whether something was shipped there.
    pub(crate) shipped: bool,
}

/// Compares the trees. Files that are `known` to be the same are not read. With `lenient`, a file without read permission is noted,
/// and is not an error.
pub(crate) fn scan(trees: &Trees, known: &Known, lenient: bool) -> Result<Scanned, Error> {
    let (skipped, unreadable, same) = (Vec::new(), Vec::new(), Vec::new());
    let mut scanner = Scanner { trees, lenient, skipped, unreadable, same, comparer: Comparer::new(known) };
    let etc = EtcPath::default();
    let changed = match &trees.shipped {
        Some(shipped) => !same_attributes(shipped, &trees.machine).context("compare", &etc)?,
        None => true,
    };
    let directory = Some(Kind::Directory);
    let shipped = trees.shipped.as_ref().and(directory);
    let root = Difference { path: etc, parent: None, shipped, machine: directory, changed, new: directory };
    let differences = scanner.walk(root)?;
    Ok(Scanned { differences, skipped: scanner.skipped, unreadable: scanner.unreadable, same: scanner.same })
}

struct Scanner<'a> {
    trees: &'a Trees,
    lenient: bool,
    skipped: Vec<Skipped>,
    unreadable: Vec<EtcPath>,
    same: Vec<Pair>,
    comparer: Comparer<'a>,
}

/// How often a directory that appears and vanishes is read again.
const ATTEMPTS: usize = 16;

/// A directory in the list of differences, and its differences that are not in the list yet.
struct Level {
    index: usize,
    left: std::vec::IntoIter<Difference>,
}

/// A directory of each tree, if it exists there.
struct Opened {
    shipped: Option<OwnedFd>,
    machine: OwnedFd,
    new: Option<OwnedFd>,
}

impl Scanner<'_> {
    /// The list of differences that begins with the directory `root`. A directory is closed before its subdirectories are read,
    /// because there can be more levels than a process may have open files.
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
                    // It is no longer a directory.
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

    /// The possible differences in a directory of the machine: every subdirectory, and the other names that differ.
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
            name.machine =
                tree::look_up(&opened.machine, &name.name).context("read the attributes of", path.join(&name.name))?;
        }
        let compared = self.comparer.all(place, &names);
        let mut found = Vec::new();
        for (name, compared) in names.into_iter().zip(compared) {
            found.extend(self.compared(place, name, compared, path)?);
        }
        Ok(Content::Found(found))
    }

    fn open(&self, directory: &Difference) -> Result<Opened, SystemError> {
        let path = &directory.path;
        let open = |tree: Option<&OwnedFd>, kind: Option<Kind>| match (tree, kind) {
            (Some(tree), Some(Kind::Directory)) => below(tree, path).map(Some),
            _ => Ok(None),
        };
        // The machine's directory first: only this one may vanish.
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
        compared: Result<Compared, Errno>,
        path: &EtcPath,
    ) -> Result<Option<Difference>, SystemError> {
        let Name { name, shipped, machine } = name;
        if let Ok(Compared::Same(pair)) = compared {
            self.same.extend(pair.filter(|_| self.same.len() < known::MOST));
            if machine != Some(Kind::Directory) {
                return Ok(None);
            }
        }
        let here = path.join(&name);
        let (machine, changed) = match compared {
            _ if matches!(machine, None | Some(Kind::Other)) => (machine, true),
            Ok(compared) => (machine, compared == Compared::Differ),
            // Removed since the directory was listed, or another kind of file: it has changed.
            Err(error) if is_vanished(error) || error == Errno::INVAL => {
                (tree::look_up(place.machine, &name).context("read the attributes of", &here)?, true)
            }
            Err(Errno::ACCESS | Errno::PERM) if self.lenient => {
                self.unreadable.push(here);
                return Ok(None);
            }
            Err(error) => return Err(error).context("compare", here),
        };
        if machine == Some(Kind::Other) {
            // It is ignored: the new tree's file stays, if there is one.
            self.skipped.push(Skipped { path: here, shipped: shipped.is_some() });
            return Ok(None);
        }
        if (shipped, machine) == (None, None) {
            return Ok(None);
        }
        let new = match place.new {
            Some(new) => {
                tree::look_up(new, &name).context("read the attributes of", format_args!("{here} in the new tree"))?
            }
            None => None,
        };
        Ok(Some(Difference { path: here, parent: None, shipped, machine, changed, new }))
    }

    /// The difference for a directory that vanished.
    fn looked_at_again(&self, was: Difference) -> Result<Option<Difference>, SystemError> {
        let machine = match was.path.split() {
            None => return Err(Errno::NOENT).context("open", &was.path),
            Some((parent, name)) => match below(&self.trees.machine, &parent) {
                Ok(parent) => tree::look_up(parent, name).context("read the attributes of", &was.path)?,
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

/// The content of a directory.
enum Content {
    /// It is not a directory.
    Nothing,
    /// It may not be read.
    Unknown,
    /// It does not exist any more.
    Vanished,
    /// The possible differences.
    Found(Vec<Difference>),
}

/// Whether the error shows that another program has removed or replaced the name.
fn is_vanished(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// In a tree that no other program writes to, a vanished name is an error, not an absence.
fn not_vanished<T>(opened: Result<T, Errno>) -> Result<T, Errno> {
    opened.map_err(|error| if is_vanished(error) { Errno::STALE } else { error })
}

/// Opens a directory of a tree; no link is followed.
fn below(tree: impl AsFd, path: &EtcPath) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(tree, path.relative(), flags, Mode::empty(), resolve)
}
