//! Directories of the target.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

/// Makes a directory, durably. It may be there.
pub(super) fn make_directory(target: BorrowedFd<'_>, path: &str) -> Result<(), SystemError> {
    dir::make(target, path, 0o755).context("make", shown(path))?;
    let directory = open_directory(target, path)?;
    rustix::fs::fsync(&directory).context("sync", shown(path))?;
    let parent = path.rsplit_once('/').map_or(".", |(parent, _)| parent);
    let parent = open_directory(target, parent)?;
    rustix::fs::fsync(&parent).context("sync", shown(path))
}

/// Opens a directory that is none of others.
pub(super) fn open_directory(target: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, SystemError> {
    dir::open(target, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW).context("open", shown(path))
}

/// Makes everything on the target durable.
///
/// # Errors
/// As `syncfs(2)`.
pub fn sync(target: BorrowedFd<'_>) -> Result<(), SystemError> {
    // The descriptor of a mount is none that can be synced.
    let root = open_directory(target, ".")?;
    system::sync::filesystem(root.as_fd()).context("sync", "the ESP")
}

/// A path in a message.
pub(super) fn shown(path: &str) -> String {
    format!("{path} on the ESP")
}
