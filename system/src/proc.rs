//! procfs, whether it is mounted or not.
//!
//! PID 1 without an initramfs finds no `/proc`, and may make no directory for it: a detached one serves.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::{Context, SystemError, dir, mount};

/// Longer than any command line that a kernel takes, and than any mount table that was ever seen.
const LIMIT: u64 = 16 << 20;

/// An open procfs.
#[derive(Debug)]
pub struct Proc(OwnedFd);

impl Proc {
    /// The one at `/proc`, or a new one that is mounted nowhere.
    ///
    /// # Errors
    /// When it is not there and cannot be mounted.
    pub fn open() -> Result<Self, SystemError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mounted = rustix::fs::open("/proc", flags, Mode::empty()).ok().filter(is_procfs);
        if let Some(fd) = mounted {
            return Ok(Self(fd));
        }
        let detached = mount::new_filesystem("proc", "proc", &[], MountAttrFlags::empty())?;
        let fd = dir::open_directory(detached.as_fd(), ".").context("open", "a new procfs")?;
        // The descriptor on a directory of it keeps the mount from going away.
        Ok(Self(fd))
    }

    /// The kernel command line.
    ///
    /// # Errors
    /// As `read(2)`.
    pub fn command_line(&self) -> Result<Vec<u8>, SystemError> {
        dir::read(&self.0, "cmdline", LIMIT).context("read", "/proc/cmdline")
    }

    /// This process's mount table.
    ///
    /// # Errors
    /// As `read(2)`.
    pub fn mountinfo(&self) -> Result<Vec<u8>, SystemError> {
        dir::read(&self.0, "self/mountinfo", LIMIT).context("read", "/proc/self/mountinfo")
    }

    /// Where an open file is, seen from this process's root.
    ///
    /// # Errors
    /// As `readlink(2)`.
    pub fn path_of(&self, fd: impl AsFd) -> Result<PathBuf, Errno> {
        use std::os::fd::AsRawFd;
        use std::os::unix::ffi::OsStringExt;
        let name = format!("self/fd/{}", fd.as_fd().as_raw_fd());
        let target = rustix::fs::readlinkat(&self.0, name, Vec::new())?;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes())))
    }

    /// Whether the kernel knows a type of filesystem now; one that is a module not loaded yet is not among them.
    pub fn knows_filesystem(&self, fstype: &str) -> Option<bool> {
        let list = dir::read(&self.0, "filesystems", LIMIT).ok()?;
        let list = String::from_utf8_lossy(&list);
        Some(list.lines().any(|line| line.split_whitespace().next_back() == Some(fstype)))
    }
}

fn is_procfs(fd: &OwnedFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| fs.f_type == rustix::fs::PROC_SUPER_MAGIC)
}
