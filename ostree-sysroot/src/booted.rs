//! The deployment that the system was booted from, and the deployment of a prepared soft reboot.

use std::path::Path;

use ostree_formats::booted_state::BootedState;
use ostree_formats::deployment::DeploymentPath;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::deployment::identity;
use crate::error::SysrootError;
use crate::roots::{Roots, read_if_there};

/// Names the booted deployment.
const BOOTED: &str = "run/ostree-booted";
/// Names the deployment that a prepared soft reboot has mounted.
const NEXT: &str = "run/ostree/nextroot-booted";

const LIMIT: u64 = 1 << 20;

/// Device and inode of a deployment's directory.
pub type Identity = (u64, u64);

/// Whether the system whose root is the directory `root` was booted from a deployment at all.
///
/// # Errors
/// `/run/ostree-booted` cannot be looked up.
pub fn is_booted(root: &Path) -> Result<bool, SystemError> {
    let root = dir::open_root(root).context("open", root.display())?;
    match dir::open(root, BOOTED, OFlags::PATH) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error).context("read the attributes of", format_args!("/{BOOTED}")),
    }
}

/// The time of the boot or soft reboot: seconds and nanoseconds.
///
/// # Errors
/// `/run/ostree-booted` cannot be looked up.
pub fn booted_at(roots: &Roots) -> Result<(i64, i64), SystemError> {
    let stat = rustix::fs::statat(&roots.system, BOOTED, AtFlags::empty())
        .context("read the attributes of", format_args!("/{BOOTED}"))?;
    Ok((stat.st_mtime, stat.st_mtime_nsec as i64))
}

/// The booted deployment's directory.
///
/// # Errors
/// The system was not booted from a deployment, or the file cannot be read.
pub fn booted_identity(roots: &Roots) -> Result<Identity, SysrootError> {
    match read_if_there(&roots.system, &"", BOOTED, LIMIT)?.map(|bytes| BootedState::from_bytes(&bytes)) {
        Some(Ok(state)) => Ok((state.device, state.inode)),
        // Older versions of libostree left the file empty, and mounted the deployment itself at `/`.
        Some(Err(_)) => {
            let stat = dir::stat_fd(&roots.system).context("read the attributes of", "/")?;
            Ok((stat.device, stat.inode))
        }
        None => Err(SysrootError::NotBooted),
    }
}

/// Whether the system was booted from the deployment at `path`.
///
/// # Errors
/// As [`booted_identity`], or the attributes of the deployment cannot be read.
pub fn is_the_booted_one(roots: &Roots, path: &DeploymentPath) -> Result<bool, SysrootError> {
    Ok(identity(roots, path)? == Some(booted_identity(roots)?))
}

/// The directory of the deployment that a prepared soft reboot has mounted, if there is one.
///
/// # Errors
/// The file about it cannot be read, or is damaged.
pub fn next_root(roots: &Roots) -> Result<Option<Identity>, SysrootError> {
    let Some(bytes) = read_if_there(&roots.system, &"", NEXT, LIMIT)? else { return Ok(None) };
    match BootedState::from_bytes(&bytes) {
        Ok(state) => Ok(Some((state.device, state.inode))),
        Err(reason) => Err(SysrootError::NextRoot { path: "/run/ostree/nextroot-booted", reason: reason.to_string() }),
    }
}
