//! Does what the plan says, in the new deployment's `etc`.
//!
//! Services are still stopping while this runs: what has vanished since it was planned counts as removed, what has changed is
//! read again. Nothing is looked up through a link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use system::copy::{self, Copier};
use system::dir::Kind;
use system::{Context, SystemError, tree};

use super::path::EtcPath;
use super::plan::{EtcMergePlan, Step};

/// How often a file that changes while it is copied is begun anew; then what was read last is taken, as after a crash.
const ATTEMPTS: usize = 16;
/// What an error says was being done; it names the file itself, however deep in a directory that is copied.
const MERGE: &str = "merge";

/// Applies `plan`: `machine` is the merge deployment's `etc`, `new` the new one's; `progress` is called after each step.
pub(crate) fn execute(
    plan: &EtcMergePlan,
    machine: impl AsFd,
    new: impl AsFd,
    mut progress: impl FnMut(),
) -> Result<(), SystemError> {
    let mut merge = Merge { copier: Copier::default(), machine: machine.as_fd(), new: new.as_fd(), last: None };
    for step in &plan.steps {
        match step {
            Step::Remove(path) => merge.remove(path).context(MERGE, path),
            Step::Directory(path) => merge.directory(path).context(MERGE, path),
            Step::Replace(path) => merge.replace(path),
        }?;
        progress();
    }
    Ok(())
}

/// Makes `etc` in `deployment`, which is `shown`, anew from what its tree ships, keeping the directory itself, which may be
/// mounted somewhere.
pub(crate) fn reset(deployment: impl AsFd, shown: &str) -> Result<(), SystemError> {
    let deployment = deployment.as_fd();
    let (shown_etc, shown_shipped) = (format!("{shown}/etc"), format!("{shown}/usr/etc"));
    let shipped = tree::open(deployment, b"usr").and_then(|usr| tree::open(usr, b"etc"));
    let shipped = shipped.context("open", &shown_shipped)?;
    match rustix::fs::mkdirat(deployment, "etc", Mode::from_raw_mode(0o700)) {
        Err(Errno::EXIST) | Ok(()) => {}
        Err(error) => return Err(error).context("make", shown_etc),
    }
    let etc = tree::open(deployment, b"etc").context("open", &shown_etc)?;
    tree::empty(&etc).context("empty", &shown_etc)?;
    copy_into(&mut Copier::default(), shipped.as_fd(), etc.as_fd(), &EtcPath::default()).map_err(|error| SystemError {
        operation: "copy",
        object: format!("{shown}/usr{}", error.object),
        ..error
    })
}

struct Merge<'a> {
    copier: Copier,
    machine: BorrowedFd<'a>,
    new: BorrowedFd<'a>,
    /// The directories of the last step: the next one is often in the same.
    last: Option<(Vec<u8>, Directories)>,
}

/// One directory of both trees.
struct Directories {
    /// `None`: it has vanished.
    machine: Option<OwnedFd>,
    new: OwnedFd,
}

impl Merge<'_> {
    fn directories(&mut self, path: &[u8]) -> Result<&Directories, Errno> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let machine = match inside(self.machine, path) {
                Ok(directory) => Some(directory),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
                Err(error) => return Err(error),
            };
            self.last = Some((path.to_vec(), Directories { machine, new: inside(self.new, path)? }));
        }
        self.last.as_ref().map(|(_, directories)| directories).ok_or(Errno::NOENT)
    }

    fn remove(&mut self, path: &EtcPath) -> Result<(), Errno> {
        let Some((parent, name)) = path.split() else { return Err(Errno::INVAL) };
        match self.directories(parent) {
            Ok(directories) => tree::remove(&directories.new, name),
            // What it was in is gone already.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn directory(&mut self, path: &EtcPath) -> Result<(), Errno> {
        let Some((parent, name)) = path.split() else {
            return copy::directory_attributes(self.machine, self.new);
        };
        let directories = self.directories(parent)?;
        let machine = directories.machine.as_ref().map(|directory| tree::open(directory, name));
        let machine = match machine {
            None | Some(Err(Errno::NOENT | Errno::NOTDIR)) => None,
            Some(other) => Some(other?),
        };
        match rustix::fs::mkdirat(&directories.new, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        // One that has vanished stays empty, and goes below.
        let Some(machine) = machine else {
            return match rustix::fs::unlinkat(&directories.new, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) => Ok(()),
                other => other,
            };
        };
        copy::directory_attributes(machine, tree::open(&directories.new, name)?)
    }

    fn replace(&mut self, path: &EtcPath) -> Result<(), SystemError> {
        let Some((parent, name)) = path.split() else { return Err(Errno::INVAL).context(MERGE, path) };
        let duplicate = |directory: &OwnedFd| directory.try_clone().map_err(|_| Errno::MFILE);
        let directories = self
            .directories(parent)
            .and_then(|both| Ok((duplicate(&both.new)?, both.machine.as_ref().map(duplicate).transpose()?)));
        let (new, machine) = match directories {
            // Its directory vanished before it could be made.
            Err(Errno::NOENT) => return Ok(()),
            other => other.context(MERGE, path)?,
        };
        match machine {
            Some(machine) => copy_as_it_is_now(&mut self.copier, machine.as_fd(), new.as_fd(), name, path),
            None => tree::remove(new, name).context(MERGE, path),
        }
    }
}

/// Puts a copy of whatever `name`, which is `path`, is in `from` now into `to`.
fn copy_as_it_is_now(
    copier: &mut Copier,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &[u8],
    path: &EtcPath,
) -> Result<(), SystemError> {
    for attempt in 1.. {
        let stat = match rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return tree::remove(to, name).context(MERGE, path),
            other => other.context(MERGE, path)?,
        };
        tree::remove(to, name).context(MERGE, path)?;
        let result = match tree::kind(FileType::from_raw_mode(stat.st_mode)) {
            Kind::File => {
                tree::open_file(from, name).and_then(|source| copier.file(source, to, name)).context(MERGE, path)
            }
            Kind::Link => copy::link(from, name, to, name).map(|()| true).context(MERGE, path),
            Kind::Directory => copy_directory(copier, from, to, name, path).map(|()| true),
            // A socket by now: it is not carried over.
            Kind::Other => Ok(true),
        };
        match result {
            Ok(true) => return Ok(()),
            // It changed while it was read, or between being looked at and being read.
            Ok(false) if attempt < ATTEMPTS => {}
            Err(error) if attempt < ATTEMPTS && is_of_a_change(error.reason) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is said of a file that is another one than a moment ago.
fn is_of_a_change(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::LOOP | Errno::INVAL | Errno::NOTDIR | Errno::ISDIR)
}

fn copy_directory(
    copier: &mut Copier,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &[u8],
    path: &EtcPath,
) -> Result<(), SystemError> {
    let source = tree::open(from, name).context(MERGE, path)?;
    let made = rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)).and_then(|()| tree::open(to, name));
    copy_into(copier, source.as_fd(), made.context(MERGE, path)?.as_fd(), path)
}

/// Copies all that is in `from`, which is `path`, and the attributes of `from` itself.
fn copy_into(copier: &mut Copier, from: BorrowedFd<'_>, to: BorrowedFd<'_>, path: &EtcPath) -> Result<(), SystemError> {
    copy::directory_attributes(from, to).context(MERGE, path)?;
    for (name, kind) in tree::entries(from).context(MERGE, path)? {
        if kind != Kind::Other {
            copy_as_it_is_now(copier, from, to, &name, &path.join(&name))?;
        }
    }
    Ok(())
}

/// Opens a directory below `root`; no link is followed.
fn inside(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path: &[u8] = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}
