//! What PID 1 needs before anything else: somewhere to complain.
//!
//! Where the root filesystem has no `/dev`, the kernel opened no console for it. A detached devtmpfs has one.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::mount::MountAttrFlags;
use system::{SystemError, dir, mount};

use super::mounts::is_mount;

/// Whether the physical root has gone to `/sysroot` already.
///
/// # Errors
/// As `open(2)` and `statx(2)`.
pub(crate) fn has_pivoted() -> Result<bool, SystemError> {
    is_mount("/sysroot")
}

/// Makes standard error lead to the console, and opens the kernel log. What cannot be had is done without: there is nobody
/// to tell.
pub(crate) fn open_console() -> Option<OwnedFd> {
    let devices = match dir::open_root(std::path::Path::new("/dev")) {
        // Whatever is wrong with that one, another is tried.
        Ok(dev) if dir::stat_fd(&dev).is_ok_and(|stat| stat.mount_root) => dev,
        _ => {
            let devtmpfs = mount::new_filesystem("devtmpfs", "devtmpfs", &[], MountAttrFlags::empty()).ok()?;
            dir::open_directory(devtmpfs.as_fd(), ".").ok()?
        }
    };
    if let Ok(console) = dir::open(&devices, "console", OFlags::RDWR | OFlags::NOCTTY) {
        let _ = system::entry::replace_missing_standard_fds(console);
    }
    dir::open(&devices, "kmsg", OFlags::WRONLY | OFlags::NOCTTY).ok()
}
