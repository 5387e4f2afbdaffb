//! The physical root, writable for a moment. In an initramfs it is often mounted read-only.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use system::mount::{self, Access, Detached};

/// A mount of it that no path leads to. When it is dropped, the filesystem is as it was.
pub(super) struct Writable {
    mount: Detached,
    was_read_only: bool,
}

impl Writable {
    /// Makes it.
    ///
    /// # Errors
    /// `EROFS` or `EACCES`: the disk, or the kind of the filesystem, is read-only.
    pub(super) fn of(root: impl AsFd) -> Result<Self, Errno> {
        let mount = mount::clone(root)?;
        mount::set_access(&mount, Access::Writable)?;
        let was_read_only = mount::is_read_only(&mount)?;
        if was_read_only {
            mount::reconfigure_at(&mount, "rw")?;
        }
        Ok(Self { mount, was_read_only })
    }
}

impl AsFd for Writable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        if self.was_read_only {
            // What was written is on the disk; the deployment's own units decide later whether it stays writable.
            let _ = mount::reconfigure_at(&self.mount, "ro");
        }
    }
}
