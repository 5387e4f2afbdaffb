//! Before the merge, saves the files of the new `etc` that the merge changes.
//!
//! Other programs write to a staged deployment's `etc`, for example OpenShift's machine-config-operator. Their files are part of
//! the update, and are not in `usr/etc`.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use system::dir::Kind;
use system::{Context, SystemError, copy, tree};

use super::before::{Before, Was};
use super::execute::inside;
use super::path::EtcPath;
use super::plan::Step;
use super::second_name::{make, second_name};

/// Saves the files of `etc` that `steps` will change into the empty directory `saved`. `None` means that there is no room.
pub(crate) fn save(steps: &[Step], etc: impl AsFd, saved: Option<BorrowedFd<'_>>) -> Result<Vec<Before>, SystemError> {
    let mut list: Vec<Before> = Vec::new();
    // systemd's mark is removed after the merge.
    let mark = EtcPath::default().join(b".updated");
    let all = steps.iter().map(|step| match step {
        Step::Remove(path) | Step::MakeWay(path) | Step::Replace(path) => (path, true),
        Step::Directory(path) => (path, false),
    });
    for (path, whole) in all.chain([(&mark, true)]) {
        // A directory comes before its content.
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
