//! Restores the saved files before a merge starts again.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::Mode;
use rustix::io::Errno;
use system::copy::{self, Copier};
use system::{Context, SystemError, tree};

use super::before::{Before, Was};
use super::execute::{Copied, copy_as_it_is_now, copy_directories, inside};
use super::path::EtcPath;
use super::second_name::second_name;

/// Restores `etc` to its state before the merge. It can be interrupted and repeated.
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
                "the saved copy of {} in the new deployment is lost (ostree/repo/tmp was emptied); \
                 the new tree's file is used",
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

/// Whether the saved copy still exists.
fn is_saved(saved: Option<BorrowedFd<'_>>, number: usize) -> Result<bool, SystemError> {
    let Some(saved) = saved else { return Ok(false) };
    let kind = tree::look_up(saved, number.to_string().as_bytes());
    Ok(kind.context("read the attributes of", "the saved copies of the new deployment's etc")?.is_some())
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
            // They were not saved, and the directory was not shipped.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            other => copy::directory_attributes(other?, directory),
        }
    };
    let Some((parent, name)) = before.path.split() else { return attributes(etc) };
    let parent = match inside(etc, &parent) {
        // Its directory did not exist before, and does not exist now.
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

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::super::plan::Step;
    use super::super::save::save;
    use super::*;
    use system::dir::Kind;

    fn path(text: &str) -> EtcPath {
        EtcPath::from_relative(OsStr::new(text)).unwrap()
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
