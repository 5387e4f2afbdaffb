//! procfs, whether it is mounted or not.
//!
//! PID 1 without an initramfs finds no `/proc`, and may make no directory for it: a detached one serves.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

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
    /// When it is there and cannot be opened, or is not there and cannot be mounted.
    pub fn open() -> Result<Self, SystemError> {
        if let Some(fd) = dir::if_there(dir::open_root(Path::new("/proc"))).context("open", "/proc")?
            && is_procfs(&fd).context("look at", "/proc")?
        {
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
}

fn is_procfs(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(rustix::fs::fstatfs(fd)?.f_type == rustix::fs::PROC_SUPER_MAGIC)
}
