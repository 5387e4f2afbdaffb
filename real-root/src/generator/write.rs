//! Writes the list. A file appears with all of its content or not at all, and nothing that exists is replaced.

use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;
use system::dir::write_all;
use system::{Context, SystemError, dir};

use super::plan::Item;

/// Makes every item below the directory at `path`. `false`: some exist, and stay as they are: another generator was faster. The other
/// items are made all the same, because a `boot.mount` that the generator for `/etc/fstab` has made is no reason for a system without
/// `/var`.
pub(super) fn all(path: &Path, items: &[Item]) -> Result<bool, SystemError> {
    let directory = dir::open_root(path).context("open", path.display())?;
    let mut is_complete = true;
    for item in items {
        let (operation, name, result) = match item {
            Item::Directory(name) => ("make the directory", name, make_directory(directory.as_fd(), name)),
            Item::File(name, content) => ("write", name, file(directory.as_fd(), name, content)),
            Item::Link(name, target) => ("make the link", name, rustix::fs::symlinkat(target, &directory, *name)),
        };
        match result {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                log::error!("{}/{name} exists already, and stays as it is", path.display());
                is_complete = false;
            }
            error => error.context(operation, format_args!("{}/{name}", path.display()))?,
        }
    }
    Ok(is_complete)
}

fn make_directory(directory: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    match rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// systemd passes over names that begin with a dot.
fn file(directory: BorrowedFd<'_>, name: &str, content: &str) -> Result<(), Errno> {
    const NEW: &str = ".ostree-system-generator.new";
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let new = rustix::fs::openat(directory, NEW, flags, Mode::from_raw_mode(0o644))?;
    let written = write_all(&new, content.as_bytes())
        .and_then(|()| rustix::fs::renameat_with(directory, NEW, directory, name, RenameFlags::NOREPLACE));
    written.inspect_err(|_| {
        // The first error is returned, not one of the clean-up.
        let _ = rustix::fs::unlinkat(directory, NEW, AtFlags::empty());
    })
}
