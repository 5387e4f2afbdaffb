//! What the new `etc` had before the merge, in all the places that the merge changes: saved before it begins, and put back before it
//! is begun again.
//!
//! Other programs write to a staged deployment's `etc` (OpenShift's machine-config-operator does). What they wrote is part of the
//! update, and `usr/etc` does not have it. What is saved are second names of the same files: they take no room, and the merge never
//! writes into a file that is there.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use system::copy::{self, Copier};
use system::dir::Kind;
use system::{Context, SystemError, tree};

use super::execute::{Copied, copy_as_it_is_now, copy_directories, inside};
use super::path::EtcPath;
use super::plan::Step;

/// What was at one path. What was saved has the number of its place in the list for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Was {
    /// Nothing.
    Absent,
    /// All of it is saved.
    Saved,
    /// A directory, of which only the attributes change: those are saved, if there was room.
    Directory,
    /// There was no room to save it: what is shipped takes its place.
    NotSaved,
}

/// A path that the merge changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    was: Was,
    path: EtcPath,
}

/// Saves what `steps` will change in `etc` into the empty directory `saved`; without one there is no room for anything.
pub(crate) fn save(steps: &[Step], etc: impl AsFd, saved: Option<BorrowedFd<'_>>) -> Result<Vec<Before>, SystemError> {
    let mut list: Vec<Before> = Vec::new();
    // systemd's mark goes after the merge.
    let mark = EtcPath::default().join(b".updated");
    let all = steps.iter().map(|step| match step {
        Step::Remove(path) | Step::MakeWay(path) | Step::Replace(path) => (path, true),
        Step::Directory(path) => (path, false),
    });
    for (path, whole) in all.chain([(&mark, true)]) {
        // A directory stands before what is in it.
        let is_covered =
            |last: &Before| last.was != Was::Directory && (path == &last.path || path.is_below(&last.path));
        if list.last().is_some_and(is_covered) {
            continue;
        }
        let name = list.len().to_string();
        let was = match save_one(etc.as_fd(), path, whole, saved, name.as_bytes()) {
            Err(Errno::NOSPC | Errno::DQUOT) => {
                if let Some(saved) = saved {
                    tree::remove(saved, name.as_bytes()).context("remove a part of the saved", path)?;
                }
                if whole { Was::NotSaved } else { Was::Directory }
            }
            other => other.context("save", format_args!("{path} of the new deployment"))?,
        };
        list.push(Before { was, path: path.clone() });
    }
    Ok(list)
}

fn save_one(
    etc: BorrowedFd<'_>,
    path: &EtcPath,
    whole: bool,
    saved: Option<BorrowedFd<'_>>,
    as_name: &[u8],
) -> Result<Was, Errno> {
    let Some((parent, name)) = path.split() else {
        return save_attributes(etc, saved, as_name);
    };
    let parent = match inside(etc, &parent) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Was::Absent),
        other => other?,
    };
    match tree::look_up(&parent, name)? {
        None => return Ok(Was::Absent),
        Some(Kind::Directory) if !whole => return save_attributes(tree::open(&parent, name)?, saved, as_name),
        Some(_) => second_name(parent.as_fd(), name, saved.ok_or(Errno::NOSPC)?, as_name)?,
    }
    Ok(Was::Saved)
}

fn save_attributes(directory: impl AsFd, saved: Option<BorrowedFd<'_>>, name: &[u8]) -> Result<Was, Errno> {
    copy::directory_attributes(directory, make(saved.ok_or(Errno::NOSPC)?, name)?)?;
    Ok(Was::Directory)
}

fn make(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
    tree::open(parent, name)
}

/// Gives what `from_name` is, with all that is in it, another name; what can have none is copied.
fn second_name(from: BorrowedFd<'_>, from_name: &[u8], to: BorrowedFd<'_>, to_name: &[u8]) -> Result<(), Errno> {
    let mut copier = Copier::default();
    let mut copy = |source: BorrowedFd<'_>, name: &[u8], target: BorrowedFd<'_>, as_name: &[u8]| {
        copier.file(tree::open_file(source, name)?, target, as_name).map(drop)
    };
    match tree::look_up(from, from_name)? {
        None => Err(Errno::NOENT),
        Some(Kind::Directory) => {
            let target = make(to, to_name)?;
            copy::link_tree(tree::open(from, from_name)?.as_fd(), target.as_fd(), &mut |_, source, name, target| {
                copy(source, name, target, name)
            })
        }
        Some(Kind::Link) => copy::link(from, from_name, to, to_name).map(drop),
        Some(Kind::File | Kind::Other) => match rustix::fs::linkat(from, from_name, to, to_name, AtFlags::empty()) {
            Err(Errno::PERM | Errno::MLINK | Errno::XDEV | Errno::OPNOTSUPP) => copy(from, from_name, to, to_name),
            other => other,
        },
    }
}

/// Makes `etc` what it was. Can be interrupted, and done again.
pub(crate) fn restore(
    list: &[Before],
    saved: Option<BorrowedFd<'_>>,
    shipped: Option<BorrowedFd<'_>>,
    etc: impl AsFd,
) -> Result<(), SystemError> {
    let etc = etc.as_fd();
    for (number, before) in list.iter().enumerate() {
        let is_lost = before.was == Was::Saved && !is_saved(saved, number)?;
        if is_lost {
            log::warn!(
                "what {} of the new deployment was before the earlier run is lost: ostree/repo/tmp was emptied. It gets what \
                 the new tree ships",
                before.path
            );
        }
        if is_lost || before.was == Was::NotSaved {
            restore_shipped(&before.path, shipped, etc)?;
        } else {
            let result = restore_one(before, number.to_string().as_bytes(), saved, shipped, etc);
            result.context("restore", format_args!("{} of the new deployment", before.path))?;
        }
    }
    Ok(())
}

/// Whether a copy is there still.
fn is_saved(saved: Option<BorrowedFd<'_>>, number: usize) -> Result<bool, SystemError> {
    let Some(saved) = saved else { return Ok(false) };
    let kind = tree::look_up(saved, number.to_string().as_bytes());
    Ok(kind.context("look at", "what was saved of the new deployment's etc")?.is_some())
}

fn restore_one(
    before: &Before,
    saved_name: &[u8],
    saved: Option<BorrowedFd<'_>>,
    shipped: Option<BorrowedFd<'_>>,
    etc: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let attributes = |directory: BorrowedFd<'_>| {
        let source = saved.ok_or(Errno::NOENT).and_then(|saved| tree::open(saved, saved_name));
        let source = match source {
            Err(Errno::NOENT) => shipped.ok_or(Errno::NOENT).and_then(|shipped| inside(shipped, &before.path)),
            other => other,
        };
        match source {
            // No room for them, and none were shipped.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            other => copy::directory_attributes(other?, directory),
        }
    };
    let Some((parent, name)) = before.path.split() else { return attributes(etc) };
    let parent = match inside(etc, &parent) {
        // What it was in is not there yet, as it was.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other?,
    };
    match before.was {
        Was::NotSaved => Ok(()),
        Was::Absent => tree::remove(&parent, name),
        Was::Saved => {
            let saved = saved.ok_or(Errno::NOENT)?;
            tree::remove(&parent, name)?;
            second_name(saved, saved_name, parent.as_fd(), name)
        }
        Was::Directory => {
            match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
            attributes(tree::open(&parent, name)?.as_fd())
        }
    }
}

fn restore_shipped(path: &EtcPath, shipped: Option<BorrowedFd<'_>>, etc: BorrowedFd<'_>) -> Result<(), SystemError> {
    let shown = || format!("{path} of the new deployment");
    let Some((parent, name)) = path.split() else { return Ok(()) };
    let target = match inside(etc, &parent) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.context("restore", shown())?,
    };
    let mut copier = Copier::default();
    let copied = match shipped.ok_or(Errno::NOENT).and_then(|shipped| inside(shipped, &parent)) {
        Ok(source) => copy_as_it_is_now(&mut copier, source.as_fd(), target.as_fd(), name, path)?,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            tree::remove(target, name).context("restore", shown())?;
            Copied::Whole
        }
        Err(error) => return Err(error).context("restore", shown()),
    };
    match copied {
        Copied::Whole => Ok(()),
        Copied::DirectoryOnly => match shipped {
            Some(shipped) => copy_directories(&mut copier, shipped, etc, vec![path.clone()]),
            None => Ok(()),
        },
    }
}

/// How many could not be saved.
pub(crate) fn not_saved(list: &[Before]) -> usize {
    list.iter().filter(|before| before.was == Was::NotSaved).count()
}

/// The paths of the list.
#[cfg(feature = "fuzzing")]
pub(crate) fn paths(list: &[Before]) -> impl Iterator<Item = &EtcPath> {
    list.iter().map(|before| &before.path)
}

/// The list as bytes: of each path a letter, and a zero at its end.
pub(crate) fn to_bytes(list: &[Before]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Before { was, path } in list {
        bytes.push(match was {
            Was::Absent => b'a',
            Was::Saved => b's',
            Was::Directory => b'd',
            Was::NotSaved => b'n',
        });
        bytes.extend_from_slice(path.relative().as_bytes());
        bytes.push(0);
    }
    bytes
}

/// The list again; `None`: it is none, or not all of one.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<Before>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let records = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
    let before = |record: &[u8]| {
        let (letter, path) = record.split_first()?;
        let was = match letter {
            b'a' => Was::Absent,
            b's' => Was::Saved,
            b'd' => Was::Directory,
            b'n' => Was::NotSaved,
            _ => return None,
        };
        Some(Before { was, path: EtcPath::from_relative(OsStr::from_bytes(path))? })
    };
    records.map(before).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn path(text: &str) -> EtcPath {
        EtcPath::from_relative(OsStr::new(text)).unwrap()
    }

    #[test]
    fn a_list_is_the_same_after_it_was_written() {
        let before = |was, text| Before { was, path: path(text) };
        let list = [before(Was::Directory, "."), before(Was::Absent, "a\nb"), before(Was::Saved, "c/d")];
        assert_eq!(from_bytes(&to_bytes(&list)).unwrap(), list);
        assert_eq!(from_bytes(b""), Some(Vec::new()));
        for damaged in [&b"a"[..], b"x.\0", b"a../x\0", b"a/x\0", b"a\0", b"\0"] {
            assert_eq!(from_bytes(damaged), None, "{damaged:?}");
        }
    }

    fn opened(place: &Path) -> OwnedFd {
        rustix::fs::open(place, rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap()
    }

    /// Names and contents.
    fn listing(place: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        tree::directories(opened(place), |path, _, entries| {
            for (name, kind) in entries {
                let path = Path::new(path).join(OsStr::from_bytes(name));
                let content =
                    if *kind == Kind::File { fs::read_to_string(place.join(&path)).unwrap() } else { String::new() };
                found.push((path.display().to_string(), content));
            }
            Ok(())
        })
        .unwrap();
        found.sort();
        found
    }

    #[test]
    fn what_was_changed_is_put_back_as_often_as_one_likes() {
        let place = tempfile::tempdir().unwrap();
        let (etc, saved) = (place.path().join("etc"), place.path().join("saved"));
        for directory in ["etc/kept", "etc/gone/inner", "shipped", "saved"] {
            fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        for (name, content) in
            [("kept/file", "theirs"), ("gone/inner/file", "theirs"), ("replaced", "theirs"), (".updated", "")]
        {
            fs::write(etc.join(name), content).unwrap();
        }
        let was = listing(&etc);
        let steps = [
            Step::Remove(path("gone")),
            Step::Directory(path("kept")),
            Step::Directory(path("new")),
            Step::Replace(path("new/file")),
            Step::MakeWay(path("replaced")),
            Step::Directory(path("replaced")),
            Step::Replace(path("replaced/file")),
        ];
        let list = save(&steps, opened(&etc), Some(opened(&saved).as_fd())).unwrap();
        assert_eq!(
            list.iter().map(|before| before.was).collect::<Vec<_>>(),
            [Was::Saved, Was::Directory, Was::Absent, Was::Saved, Was::Saved,]
        );
        for _ in 0..2 {
            fs::remove_dir_all(etc.join("gone")).unwrap();
            fs::remove_file(etc.join("replaced")).unwrap();
            fs::remove_file(etc.join(".updated")).unwrap();
            for directory in ["new", "replaced"] {
                fs::create_dir_all(etc.join(directory)).unwrap();
                fs::write(etc.join(directory).join("file"), "mine").unwrap();
            }
            // And interrupted at any place.
            for done in 0..=list.len() {
                restore(
                    &list[..done],
                    Some(opened(&saved).as_fd()),
                    Some(opened(&place.path().join("shipped")).as_fd()),
                    opened(&etc),
                )
                .unwrap();
            }
            assert_eq!(listing(&etc), was);
        }
    }

    #[test]
    fn what_could_not_be_saved_is_what_is_shipped() {
        let place = tempfile::tempdir().unwrap();
        for directory in ["etc", "shipped", "saved"] {
            fs::create_dir(place.path().join(directory)).unwrap();
        }
        fs::write(place.path().join("etc/file"), "mine").unwrap();
        fs::write(place.path().join("shipped/file"), "shipped").unwrap();
        fs::write(place.path().join("etc/other"), "mine").unwrap();
        let list = ["file", "other"].map(|name| Before { was: Was::NotSaved, path: path(name) });
        let open = |name: &str| opened(&place.path().join(name));
        restore(&list, Some(open("saved").as_fd()), Some(open("shipped").as_fd()), open("etc")).unwrap();
        assert_eq!(listing(&place.path().join("etc")), [("./file".to_owned(), "shipped".to_owned())]);
    }
}
