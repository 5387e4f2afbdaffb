//! Whether the boot can continue in the new root: reads its init, and the interpreter or loader of it.
//!
//! A mounted root may have no readable file: fs-verity is demanded but missing, or the disk fails. Nothing would report that later,
//! because systemd is the first program that is read.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::tree;

use super::program::{self, Needs, PAGE};
use super::stage::Stage;
use crate::failed::cause::InitError;

/// The kernel follows at most this many interpreters of scripts.
const MOST_SCRIPTS: usize = 5;

/// Reads the init of the new root. If init is not `required`, only a failing disk is an error, and anything else a warning.
pub(super) fn require(
    stage: &Stage<'_>,
    named: Option<&str>,
    others: &[&'static str],
    required: bool,
) -> Result<(), InitError> {
    let Some(root) = &stage.new_root else { return Ok(()) };
    let warnings = match read_first(root.as_fd(), named, others) {
        Ok(passed_over) => passed_over,
        Err(error) if !required && !error.is_of_the_disk() => vec![error],
        Err(error) => return Err(error),
    };
    for warning in warnings {
        log::warn!("the deployment /{}: {warning}", stage.deployment.path);
    }
    Ok(())
}

/// Reads the first program that can be executed in `root`, and its interpreter or loader. Follows links inside `root`. Like
/// systemd, skips a program that does not exist or lacks its interpreter or loader. Returns the warnings about skipped programs.
fn read_first(root: BorrowedFd<'_>, named: Option<&str>, others: &[&'static str]) -> Result<Vec<InitError>, InitError> {
    let mut passed_over = Vec::new();
    for path in named.into_iter().chain(others.iter().copied()) {
        match require_program(root, path.as_bytes()) {
            Ok(true) => return Ok(passed_over),
            Ok(false) if named == Some(path) => {
                passed_over.push(InitError::Named { path: path.to_owned(), reason: Errno::NOENT });
            }
            Ok(false) => {}
            Err(InitError::Unreadable { path, needed_by: None, reason: Errno::LOOP }) if named == Some(&*path) => {
                passed_over.push(InitError::Named { path, reason: Errno::LOOP });
            }
            Err(error) if error.is_absence() => passed_over.push(error),
            Err(error) => return Err(error),
        }
    }
    let candidates = || named.into_iter().chain(others.iter().copied()).map(str::to_owned).collect();
    let unreadable = passed_over.into_iter().find(|error| matches!(error, InitError::Unreadable { .. }));
    Err(unreadable.unwrap_or_else(|| InitError::Missing(candidates())))
}

/// Whether the program exists. An error if it, or what it needs, cannot be read.
fn require_program(root: BorrowedFd<'_>, path: &[u8]) -> Result<bool, InitError> {
    let program = open(root, path).map_err(|reason| unreadable(path, None, reason))?;
    program.map_or(Ok(false), |program| require_what_it_needs(root, path, program).map(|()| true))
}

fn require_what_it_needs(root: BorrowedFd<'_>, path: &[u8], mut program: Program) -> Result<(), InitError> {
    let mut needed_by = path.to_vec();
    for _ in 0..MOST_SCRIPTS {
        let (next, is_last) = match program::needs(&program.page) {
            Needs::Nothing => return Ok(()),
            Needs::Interpreter(path) => (path, false),
            Needs::Loader { offset, length } => {
                let path = program.path_at(offset, length);
                (path.map_err(|reason| unreadable(&needed_by, None, reason))?, true)
            }
        };
        let opened = open(root, &next).and_then(|program| program.ok_or(Errno::NOENT));
        program = opened.map_err(|reason| unreadable(&next, Some(&needed_by), reason))?;
        if is_last {
            return Ok(());
        }
        needed_by = next;
    }
    Ok(())
}

fn unreadable(path: &[u8], needed_by: Option<&[u8]>, reason: Errno) -> InitError {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    InitError::Unreadable { path: text(path), needed_by: needed_by.map(text), reason }
}

/// An open file and its first page. Reading this page makes the kernel check the seal.
struct Program {
    file: OwnedFd,
    page: Vec<u8>,
}

/// `None`: there is no file with this name.
fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<Option<Program>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match dir::open(root, OsStr::from_bytes(path), flags) {
        // ENXIO is a socket, or a device without a driver.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::NXIO) => return Ok(None),
        other => other?,
    };
    if dir::stat_fd(&file)?.kind != Kind::File {
        return Ok(None);
    }
    let mut page = vec![0; PAGE];
    let length = tree::fill(&file, &mut page)?;
    page.truncate(length);
    Ok(Some(Program { file, page }))
}

impl Program {
    /// The path that ends with a zero byte at `offset`.
    fn path_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut path = vec![0; length];
        let read = rustix::io::retry_on_intr(|| rustix::io::pread(&self.file, path.as_mut_slice(), offset))?;
        path.truncate(read);
        Ok(path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
    }
}
