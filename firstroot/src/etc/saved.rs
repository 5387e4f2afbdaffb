//! The name under which this machine's file is kept.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;
use system::dir::Kind;

/// What follows the name of a file that is kept.
const SAVED: &str = ".saved";
/// How many of them one file may have.
const MOST_SAVED: usize = 1000;

/// Gives the machine's file a second name, or moves its directory. Returns the name.
pub(super) fn save(directory: &OwnedFd, name: &OsStr, kind: Kind) -> Result<Vec<u8>, Errno> {
    for number in 0..MOST_SAVED {
        let number = if number == 0 { String::new() } else { format!(".{number}") };
        let saved = [name.as_bytes(), SAVED.as_bytes(), number.as_bytes()].concat();
        let moved = |saved: &[u8]| rustix::fs::renameat_with(directory, name, directory, saved, RenameFlags::NOREPLACE);
        let kept = match kind {
            Kind::Directory => moved(&saved),
            _ => match rustix::fs::linkat(directory, name, directory, &saved, AtFlags::empty()) {
                // A file that may have no second name.
                Err(Errno::PERM | Errno::MLINK | Errno::XDEV | Errno::OPNOTSUPP) => moved(&saved),
                other => other,
            },
        };
        match kept {
            Err(Errno::EXIST) => {}
            Ok(()) => return Ok(saved),
            Err(error) => return Err(error),
        }
    }
    Err(Errno::EXIST)
}
