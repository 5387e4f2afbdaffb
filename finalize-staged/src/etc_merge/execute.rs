//! Executes the plan in the new deployment's `etc`.
//!
//! Services are still stopping while this runs. A file that has vanished since the plan counts as removed, a file that exists again
//! is copied, a file that changes is read again. No link is followed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use system::copy::{self, Copier};
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use super::path::EtcPath;
use super::plan::{EtcMergePlan, Step};

/// How often a file that changes during the copy is copied again. Then the last copy is used, as after a crash.
const ATTEMPTS: usize = 16;
/// The operation in an error. Its object is the file itself, also within a copied directory.
const MERGE: &str = "merge";

/// Applies `plan`: `machine` is the merge deployment's `etc`, `new` the new one's; `progress` is called after each step.
pub(crate) fn execute(
    plan: &EtcMergePlan,
    machine: impl AsFd,
    new: impl AsFd,
    mut progress: impl FnMut(),
) -> Result<(), SystemError> {
    let places = Places { machine: machine.as_fd(), new: new.as_fd(), last: None };
    let mut merge = Merge { copier: Copier::default(), places };
    for step in &plan.steps {
        match step {
            Step::Remove(path) => merge.remove(path),
            Step::MakeWay(path) => merge.make_way(path).context(MERGE, path),
            Step::Directory(path) => match merge.directory(path) {
                // Its parent vanished before it could be made.
                Err(Errno::NOENT) => merge.replace(path),
                other => other.context(MERGE, path),
            },
            Step::Replace(path) => merge.replace(path),
        }?;
        progress();
    }
    Ok(())
}

/// Makes `etc` in `deployment` again from the tree's `usr/etc`. Messages name the deployment `shown`. The directory itself stays,
/// because it may be mounted somewhere.
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
    let all = vec![EtcPath::default()];
    copy_directories(&mut Copier::default(), shipped.as_fd(), etc.as_fd(), all).map_err(|error| SystemError {
        operation: "copy",
        object: format!("{shown}/usr{}", error.object).into(),
        ..error
    })
}

struct Merge<'a> {
    copier: Copier,
    places: Places<'a>,
}

/// Both trees.
struct Places<'a> {
    machine: BorrowedFd<'a>,
    new: BorrowedFd<'a>,
    /// The directories of the last step: the next step often uses the same.
    last: Option<(EtcPath, Directories)>,
}

/// One directory of both trees.
struct Directories {
    /// `None`: it has vanished.
    machine: Option<OwnedFd>,
    new: OwnedFd,
}

impl Places<'_> {
    fn directories(&mut self, path: &EtcPath) -> Result<&Directories, Errno> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            let machine = match inside(self.machine, path) {
                Ok(directory) => Some(directory),
                Err(error) if is_of_a_change(error) => None,
                Err(error) => return Err(error),
            };
            self.last = Some((path.clone(), Directories { machine, new: inside(self.new, path)? }));
        }
        self.last.as_ref().map(|(_, directories)| directories).ok_or(Errno::NOENT)
    }

    /// Both directories, and the kind of a name in the machine's one. If the name is not found, the directories are opened again,
    /// because another program may have replaced the machine's directory.
    fn look(&mut self, path: &EtcPath, name: &[u8]) -> Result<(&Directories, Option<Kind>), Errno> {
        let look = |directories: &Directories| match &directories.machine {
            Some(machine) => tree::look_up(machine, name),
            None => Ok(None),
        };
        let mut kind = look(self.directories(path)?)?;
        if kind.is_none() {
            self.last = None;
            kind = look(self.directories(path)?)?;
        }
        Ok((self.directories(path)?, kind))
    }
}

impl Merge<'_> {
    /// Removes what the machine has removed, unless it is there again.
    fn remove(&mut self, path: &EtcPath) -> Result<(), SystemError> {
        let Some((parent, name)) = path.split() else { return Err(Errno::INVAL).context(MERGE, path) };
        match self.places.look(&parent, name) {
            Ok((directories, None)) => tree::remove(&directories.new, name).context(MERGE, path),
            Ok((_, Some(_))) => self.replace(path),
            // Its directory is already gone.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).context(MERGE, path),
        }
    }

    fn make_way(&mut self, path: &EtcPath) -> Result<(), Errno> {
        let Some((parent, name)) = path.split() else { return Err(Errno::INVAL) };
        tree::remove(&self.places.directories(&parent)?.new, name)
    }

    fn directory(&mut self, path: &EtcPath) -> Result<(), Errno> {
        let Some((parent, name)) = path.split() else {
            return copy::directory_attributes(self.places.machine, self.places.new);
        };
        let (directories, _) = self.places.look(&parent, name)?;
        let machine = directories.machine.as_ref().map(|directory| tree::open(directory, name));
        let machine = match machine {
            None | Some(Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)) => None,
            Some(other) => Some(other?),
        };
        match rustix::fs::mkdirat(&directories.new, name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        // The machine's directory has vanished: remove the empty new one.
        let Some(machine) = machine else {
            return match rustix::fs::unlinkat(&directories.new, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY) => Ok(()),
                other => other,
            };
        };
        copy::directory_attributes(machine, tree::open(&directories.new, name)?)
    }

    /// Copies the machine's current file at `path`. If the new tree lacks its directory, because that had vanished when it should
    /// be made, the whole directory is copied if it exists again.
    fn replace(&mut self, path: &EtcPath) -> Result<(), SystemError> {
        let mut path = path.clone();
        while let Some((parent, name)) = path.split() {
            let directories = match self.places.look(&parent, name) {
                Err(Errno::NOENT) => {
                    path = parent;
                    continue;
                }
                other => other.context(MERGE, &path)?.0,
            };
            let Some(machine) = &directories.machine else {
                return tree::remove(&directories.new, name).context(MERGE, &path);
            };
            let copied = copy_as_it_is_now(&mut self.copier, machine.as_fd(), directories.new.as_fd(), name, &path)?;
            return match copied {
                Copied::Whole => Ok(()),
                Copied::DirectoryOnly => {
                    copy_directories(&mut self.copier, self.places.machine, self.places.new, vec![path])
                }
            };
        }
        Err(Errno::NOENT).context(MERGE, path)
    }
}

/// How much was copied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// Everything.
    Whole,
    /// An empty directory; its content must be copied next.
    DirectoryOnly,
}

/// Copies the current file `name` from `from` to `to`; `path` is its path for messages.
pub(super) fn copy_as_it_is_now(
    copier: &mut Copier,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    name: &[u8],
    path: &EtcPath,
) -> Result<Copied, SystemError> {
    for attempt in 1.. {
        let kind = tree::look_up(from, name).context(MERGE, path)?;
        // It has become a special file: it is left out.
        if kind == Some(Kind::Other) && attempt == 1 {
            break;
        }
        tree::remove(to, name).context(MERGE, path)?;
        let result = match kind {
            Some(Kind::File) => tree::open_file(from, name).and_then(|source| copier.file(source, to, name)),
            Some(Kind::Link) => copy::link(from, name, to, name).map(|with_attributes| {
                if !with_attributes {
                    log::warn!("the extended attributes of {path} are not copied: /proc is not mounted");
                }
                true
            }),
            Some(Kind::Directory) => {
                rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700)).context(MERGE, path)?;
                return Ok(Copied::DirectoryOnly);
            }
            Some(Kind::Other) | None => break,
        };
        match result {
            Ok(true) => break,
            // It has changed during the copy.
            Ok(false) if attempt < ATTEMPTS => {}
            Err(error) if attempt < ATTEMPTS && is_of_a_change(error) => {}
            Ok(false) => break,
            Err(error) => return Err(error).context(MERGE, path),
        }
    }
    Ok(Copied::Whole)
}

/// Whether the error shows that another program has removed or replaced the file.
fn is_of_a_change(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::LOOP | Errno::INVAL | Errno::NOTDIR | Errno::ISDIR)
}

/// Copies the attributes and the content of the directories `left`, which exist in both trees.
pub(crate) fn copy_directories(
    copier: &mut Copier,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut left: Vec<EtcPath>,
) -> Result<(), SystemError> {
    let mut again = 0;
    while let Some(path) = left.pop() {
        if !path.fits() {
            return Err(Errno::NAMETOOLONG).context(MERGE, path.shortened());
        }
        let target = inside(to, &path).context(MERGE, &path)?;
        let source = inside(from, &path).and_then(|source| Ok((tree::entries(&source)?, source)));
        let (entries, source) = match source {
            // It has vanished, or has been replaced.
            Err(error) if is_of_a_change(error) && again < ATTEMPTS => {
                again += 1;
                if copied_again(copier, from, to, &path)? == Copied::DirectoryOnly {
                    left.push(path);
                }
                continue;
            }
            other => other.context(MERGE, &path)?,
        };
        again = 0;
        copy::directory_attributes(&source, &target).context(MERGE, &path)?;
        for (name, kind) in entries {
            let inner = path.join(&name);
            if kind != Kind::Other
                && copy_as_it_is_now(copier, source.as_fd(), target.as_fd(), &name, &inner)? == Copied::DirectoryOnly
            {
                left.push(inner);
            }
        }
    }
    Ok(())
}

/// Copies the current file at the path of a directory that could not be read.
fn copied_again(
    copier: &mut Copier,
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    path: &EtcPath,
) -> Result<Copied, SystemError> {
    let Some((parent, name)) = path.split() else { return Err(Errno::NOENT).context(MERGE, path) };
    let target = inside(to, &parent).context(MERGE, path)?;
    match inside(from, &parent) {
        Ok(source) => copy_as_it_is_now(copier, source.as_fd(), target.as_fd(), name, path),
        Err(error) if is_of_a_change(error) => tree::remove(target, name).context(MERGE, path).map(|()| Copied::Whole),
        Err(error) => Err(error).context(MERGE, path),
    }
}

/// Opens a directory below `root`; no link is followed.
pub(crate) fn inside(root: BorrowedFd<'_>, path: &EtcPath) -> Result<OwnedFd, Errno> {
    dir::open_plainly(root, path.relative(), OFlags::RDONLY | OFlags::DIRECTORY)
}
