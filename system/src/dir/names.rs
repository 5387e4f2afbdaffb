//! The names in a directory, as text.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::lookup::open;
use crate::listing;

/// The names in a directory inside `root`, sorted, without `.` and `..`, and without those that are not UTF-8; see
/// [`crate::tree::entries`].
///
/// # Errors
/// As [`open`] and [`crate::tree::entries`].
pub fn names(root: impl AsFd, path: impl AsRef<Path>) -> Result<Vec<String>, Errno> {
    names_in(root.as_fd(), path.as_ref())
}

/// One function for all kinds of descriptors and paths.
fn names_in(root: BorrowedFd<'_>, path: &Path) -> Result<Vec<String>, Errno> {
    let entries = listing::entries(open(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
    Ok(entries.into_iter().filter_map(|(name, _)| String::from_utf8(name).ok()).collect())
}
