//! The repository's directory for temporary files. libostree empties it of files older than a day.

use std::os::fd::OwnedFd;

use ostree_sysroot::Roots;
use rustix::fs::OFlags;
use system::{Context, SystemError, dir};

/// Its path on the physical root.
pub(crate) const PLACE: &str = "ostree/repo/tmp";

/// Opens it, and makes it first if it does not exist.
pub(crate) fn place(roots: &Roots) -> Result<OwnedFd, SystemError> {
    dir::make(&roots.sysroot, PLACE, 0o755)
        .and_then(|()| dir::open(&roots.sysroot, PLACE, OFlags::RDONLY | OFlags::DIRECTORY))
        .context("open", format_args!("/sysroot/{PLACE}"))
}
