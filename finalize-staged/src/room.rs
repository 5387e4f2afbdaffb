//! Room in a `/boot` of its own: what is there, what is needed, and what going first would set free.

use std::os::fd::AsFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use crate::boot_files::BootFiles;
use crate::cleanup::{self, Current, Unreadable};
use crate::deployment_list::Listed;
use crate::roots::Roots;

/// For entries, links and directories, which are small and hard to foretell.
pub(crate) const MARGIN: u64 = 1 << 20;

/// Whether it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// As it is.
    Enough,
    /// When what is going away goes first.
    AfterRemoving,
    /// Not even then.
    Lacking {
        /// Bytes.
        needed: u64,
        /// Bytes, with what would be set free.
        available: u64,
    },
}

/// Looks; `keeping` is the list without what goes.
pub(crate) fn look(roots: &Roots, files: &BootFiles, keeping: &Current) -> Result<Room, SystemError> {
    if !roots.boot_is_separate || files.bytes() == 0 {
        return Ok(Room::Enough);
    }
    let stat = rustix::fs::fstatvfs(&roots.boot).context("look at", "/boot")?;
    let (needed, available) = (files.bytes() + MARGIN, stat.f_bavail * stat.f_frsize);
    if needed <= available {
        return Ok(Room::Enough);
    }
    let going = cleanup::removals(&cleanup::find(roots, Unreadable::IsAnError)?, keeping).boot;
    let freed: u64 = going.iter().map(|path| size(&roots.boot, path).unwrap_or(0)).sum();
    let available = available + freed;
    Ok(if needed <= available { Room::AfterRemoving } else { Room::Lacking { needed, available } })
}

/// What goes before the new deployment comes: nothing of what stays.
pub(crate) fn names(going: &[Listed], staying: &[Listed]) -> Vec<String> {
    let stays = |path| staying.iter().any(|listed| listed.deployment.path == path);
    going
        .iter()
        .map(|listed| listed.deployment.path.clone())
        .filter(|path| !stays(path.clone()))
        .map(|path| format!("/{path}"))
        .collect()
}

fn size(directory: impl AsFd, path: &str) -> Result<u64, Errno> {
    let opened = dir::open(&directory, path, OFlags::PATH | OFlags::NOFOLLOW)?;
    let stat = dir::stat_fd(&opened)?;
    match stat.kind {
        Kind::Directory => dir::names(&opened, ".")?.iter().map(|name| size(&opened, name)).sum::<Result<u64, Errno>>(),
        _ => Ok(stat.size / 4096 * 4096),
    }
}
