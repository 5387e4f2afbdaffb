//! The labels of a stateroot's `/var`, given once: libostree's rule, with libostree's mark.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use selinux_policy::Labels;
use system::dir::{self, Kind};
use system::tree::{TreeWalk, WalkEntry};
use system::{Context, SystemError};

use crate::tell::journal;

/// The mark of a stateroot whose `/var` is labelled.
const MARK: &str = ".ostree-selabeled";

/// Labels `/var` of the stateroot of `target`, if it has no mark, and makes the mark. Without a policy only the mark is made, as by
/// libostree, which would label all of `/var` at its next deployment otherwise.
pub(crate) fn label_once(
    roots: &Roots,
    target: &DeploymentPath,
    labels: &Labels,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    let shown = format!("/{}", target.stateroot_var());
    let var = match dir::open(&roots.sysroot, target.stateroot_var(), OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.context("open", &shown)?,
    };
    if dir::stat_name(&var, MARK).context("read the attributes of", format_args!("{shown}/{MARK}"))?.is_some() {
        return Ok(());
    }
    journal::labelling_var();
    if labels.are_wanted() {
        labels.give(&var, b"/var", Kind::Directory);
        if let Err(error) = label(&var, labels, progress) {
            log::warn!(
                "cannot label everything in {shown}: {error}; `restorecon -R /var` does it on the running system"
            );
        }
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(var, MARK, flags, Mode::from_raw_mode(0o644)) {
        Ok(mark) => {
            labels.give(mark, format!("/var/{MARK}").as_bytes(), Kind::File);
            Ok(())
        }
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).context("make", format_args!("{shown}/{MARK}")),
    }
}

fn label(var: &OwnedFd, labels: &Labels, progress: &mut dyn FnMut()) -> Result<(), Errno> {
    let mut walk = TreeWalk::new(var)?;
    while let Some(WalkEntry { path, kind }) = walk.next_entry()? {
        let shown = [b"/var/", path.as_slice()].concat();
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
            None => (b".".as_slice(), path.as_slice()),
        };
        let open = |path: &[u8], flags| dir::open_plainly(var, OsStr::from_bytes(path), flags);
        match kind {
            Kind::Directory | Kind::File => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
                match open(&path, flags) {
                    Ok(file) => labels.give(file, &shown, kind),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(error),
                }
            }
            Kind::Link | Kind::Other => match open(parent, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(parent) => labels.give_by_name(parent.as_fd(), name, &shown, kind),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => return Err(error),
            },
        }
        progress();
    }
    Ok(())
}
