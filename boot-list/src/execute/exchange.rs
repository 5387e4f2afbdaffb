//! Exchanges two names.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::sabotage;

/// Gives `link` the place of `new`, and the other way round; where `link` is not there yet, renames.
pub(crate) fn exchange(directory: impl AsFd, new: &str, link: &str) -> Result<(), Errno> {
    let directory = directory.as_fd();
    if sabotage::is_on("link-not-atomic") {
        rustix::fs::unlinkat(directory, link, AtFlags::empty()).or_else(is_not_there)?;
        // Time for it to reach the disk, as on a machine with much to write.
        rustix::fs::syncfs(directory)?;
        return rustix::fs::renameat(directory, new, directory, link);
    }
    if sabotage::is_on("rename") {
        return rustix::fs::renameat(directory, new, directory, link);
    }
    match rustix::fs::renameat_with(directory, new, directory, link, RenameFlags::EXCHANGE) {
        // Nothing to exchange it with, or a filesystem that cannot.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::renameat(directory, new, directory, link)
        }
        other => other,
    }
}

fn is_not_there(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}
