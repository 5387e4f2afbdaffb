//! Exchanges two names.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::sabotage;

/// Exchanges the names `new` and `link`. If `link` does not exist yet, renames `new` to it.
pub(crate) fn exchange(directory: impl AsFd, new: &str, link: &str) -> Result<(), Errno> {
    let directory = directory.as_fd();
    if sabotage::is_on("link-not-atomic") {
        rustix::fs::unlinkat(directory, link, AtFlags::empty()).or_else(is_not_there)?;
        // Lets the removal reach the disk first, as on a busy machine.
        rustix::fs::syncfs(directory)?;
        return rustix::fs::renameat(directory, new, directory, link);
    }
    if sabotage::is_on("rename") {
        return rustix::fs::renameat(directory, new, directory, link);
    }
    match rustix::fs::renameat_with(directory, new, directory, link, RenameFlags::EXCHANGE) {
        // `link` does not exist, or the filesystem cannot exchange names.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::renameat(directory, new, directory, link)
        }
        other => other,
    }
}

fn is_not_there(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}
