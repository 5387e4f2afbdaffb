//! procfs, whether it is mounted or not.
//!
//! PID 1 without an initramfs has no `/proc` and cannot make a directory for it, so it uses a detached one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use crate::{Context, SystemError, dir, mount};

/// Longer than any kernel command line, and than any known mount table.
const LIMIT: u64 = 16 << 20;

/// An open procfs.
#[derive(Debug)]
pub struct Proc(OwnedFd);

impl Proc {
    /// The one at `/proc`, or a new detached one.
    ///
    /// # Errors
    /// If it exists and cannot be opened, or does not exist and cannot be mounted.
    pub fn open() -> Result<Self, SystemError> {
        if let Some(fd) = dir::if_there(dir::open_root(Path::new("/proc"))).context("open", "/proc")?
            && is_procfs(&fd).context("read the attributes of", "/proc")?
        {
            return Ok(Self(fd));
        }
        let detached = mount::new_filesystem("proc", "proc", &[], MountAttrFlags::empty())?;
        let fd = dir::open_directory(detached.as_fd(), ".").context("open", "a new procfs")?;
        // The descriptor of its root directory keeps the mount alive.
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

    /// Has the kernel reboot some seconds after a panic, unless something was said about that already.
    ///
    /// # Errors
    /// As `open(2)`, `read(2)`, `write(2)`.
    pub fn reboot_after_panic(&self, seconds: u32) -> Result<(), SystemError> {
        const PANIC: &str = "sys/kernel/panic";
        let set = || -> Result<(), Errno> {
            if dir::read(&self.0, PANIC, LIMIT)?.trim_ascii() != b"0" {
                return Ok(());
            }
            dir::write_all(dir::open(&self.0, PANIC, OFlags::WRONLY)?, seconds.to_string().as_bytes())
        };
        set().context("write", format_args!("/proc/{PANIC}"))
    }

    /// The path of an open file, as seen from this process's root.
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
