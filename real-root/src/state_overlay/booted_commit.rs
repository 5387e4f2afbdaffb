//! The commit of the booted deployment.

use std::os::fd::{AsFd, BorrowedFd};

use ostree_formats::booted_state::BootedState;
use ostree_formats::deployment::Checksum;
use ostree_sysroot::stateroots::all_deployments;
use rustix::io::Errno;
use system::{Context, dir};

use super::error::Error;

const LIMIT: u64 = 1 << 20;

/// By device and inode of the deployments' directories: no boot loader entry is read, so `/boot` is not needed.
pub(super) fn booted_commit(root: BorrowedFd<'_>) -> Result<Checksum, Error> {
    let state = match dir::read(root, "run/ostree-booted", LIMIT) {
        Err(Errno::NOENT) => return Err(Error::NotBooted),
        bytes => bytes.context("read", "/run/ostree-booted")?,
    };
    let booted = match BootedState::from_bytes(&state) {
        Ok(state) => (state.device, state.inode),
        // Older versions of libostree left the file empty, and mounted the deployment itself at `/`.
        Err(_) => {
            let stat = dir::stat_fd(root).context("read the attributes of", "/")?;
            (stat.device, stat.inode)
        }
    };
    let sysroot = dir::open_directory(root, "sysroot").context("open", "/sysroot")?;
    for path in all_deployments(sysroot.as_fd())? {
        let opened = dir::if_there(dir::open_directory(&sysroot, path.to_string()));
        let Some(deployment) = opened.context("open", format_args!("/sysroot/{path}"))? else { continue };
        let stat = dir::stat_fd(&deployment).context("read the attributes of", format_args!("/sysroot/{path}"))?;
        if (stat.device, stat.inode) == booted {
            return Ok(path.id.commit);
        }
    }
    Err(Error::NoDeployment)
}
