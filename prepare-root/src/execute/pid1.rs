//! Opens the console for PID 1, so that errors are visible.
//!
//! If the root filesystem has no `/dev`, the kernel has opened no console. A detached devtmpfs has one.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::mount::MountAttrFlags;
use system::{SystemError, dir, mount};

use super::mounts::is_mount;

/// Whether the physical root has already moved to `/sysroot`.
///
/// # Errors
/// As `open(2)` and `statx(2)`.
pub(crate) fn has_pivoted() -> Result<bool, SystemError> {
    is_mount("/sysroot")
}

/// Connects standard error to the console, and opens the kernel log. Errors are ignored: without a console they cannot be
/// reported.
pub(crate) fn open_console() -> Option<OwnedFd> {
    let devices = match dir::open_root(std::path::Path::new("/dev")) {
        // If this one is unusable, use another devtmpfs.
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
