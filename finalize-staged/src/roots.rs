//! The directories that everything is looked up in: the physical root and `/boot`.

use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError, mount};

use crate::error::Error;

/// Where the physical root is in a booted system.
const SYSROOT: &str = "/sysroot";
const BOOT: &str = "/boot";

/// `f_type` of FAT, see statfs(2).
const FAT: i64 = 0x4d44;

/// Both, held open.
#[derive(Debug)]
pub(crate) struct Roots {
    /// The physical root.
    pub(crate) sysroot: OwnedFd,
    /// What boot loaders know as `/boot`.
    pub(crate) boot: OwnedFd,
    /// Whether that is a filesystem of its own. If not, it is reached through the physical root, so that hard links between
    /// the two are possible: the `/boot` of a booted system is another mount of the same directory.
    pub(crate) boot_is_separate: bool,
    /// `/boot` as it is mounted in the system, with all that is mounted below it: the physical root's directory shows none of that. Held
    /// open, it also keeps an automounted `/boot` from going away, and with it every unit that requires it.
    pub(crate) mounted_boot: OwnedFd,
}

impl Roots {
    /// Opens both, as they are.
    pub(crate) fn open() -> Result<Self, SystemError> {
        Self::open_beside(open(BOOT)?)
    }

    fn open_beside(mounted_boot: OwnedFd) -> Result<Self, SystemError> {
        let sysroot = open(SYSROOT)?;
        let boot = open(BOOT)?;
        let root = dir::stat_fd(&sysroot).context("look at", SYSROOT)?;
        let separate = dir::stat_fd(&boot).context("look at", BOOT)?.device != root.device;
        let boot = if separate { boot } else { boot_of_the_physical_root(&sysroot)? };
        Ok(Self { sysroot, boot, boot_is_separate: separate, mounted_boot })
    }

    /// Opens both in a private mount namespace in which they can be written to, whatever they are outside. An automounted
    /// `/boot` is mounted by this.
    pub(crate) fn open_writable() -> Result<Self, Error> {
        // Outside first: in a namespace of one's own nobody answers an automount.
        let outside = open(BOOT)?;
        mount::enter_private_namespace().context("enter", "a mount namespace of its own")?;
        make_writable(SYSROOT)?;
        make_writable(BOOT)?;
        Ok(Self::open_beside(outside)?)
    }

    /// The same with only the physical root writable: `/boot` stays as it is.
    pub(crate) fn open_with_writable_sysroot() -> Result<Self, Error> {
        let outside = open(BOOT)?;
        mount::enter_private_namespace().context("enter", "a mount namespace of its own")?;
        make_writable(SYSROOT)?;
        Ok(Self::open_beside(outside)?)
    }

    /// Opens `/boot/ostree`, which may be a link; `None`: it is not there.
    pub(crate) fn boot_ostree(&self) -> Result<Option<OwnedFd>, SystemError> {
        match dir::open(&self.boot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => Ok(None),
            other => other.map(Some).context("open", "/boot/ostree"),
        }
    }

    /// Whether `/boot` is a directory of the physical root, or of the root's image, without anything of a boot loader's: what a
    /// filesystem should be mounted on.
    pub(crate) fn boot_is_a_bare_mount_point(&self) -> Result<bool, SystemError> {
        let is_mounted = dir::stat_fd(&self.mounted_boot).context("look at", BOOT)?.mount_root;
        let mut is_bare = !(self.boot_is_separate && is_mounted);
        for name in ["loader", "loader.0", "loader.1"] {
            let stat = dir::stat_name(&self.boot, name).context("look at", format_args!("{BOOT}/{name}"))?;
            is_bare &= stat.is_none();
        }
        Ok(is_bare)
    }

    /// Whether `/boot` is FAT, on which nothing of this works.
    pub(crate) fn boot_is_fat(&self) -> Result<bool, SystemError> {
        Ok(rustix::fs::fstatfs(&self.boot).context("look at", BOOT)?.f_type == FAT)
    }
}

fn open(path: &str) -> Result<OwnedFd, SystemError> {
    // Not `O_PATH`: that would not mount what is automounted.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context("open", path)
}

fn boot_of_the_physical_root(sysroot: &OwnedFd) -> Result<OwnedFd, SystemError> {
    dir::open(sysroot, "boot", OFlags::RDONLY | OFlags::DIRECTORY).context("open", format_args!("{SYSROOT}{BOOT}"))
}

/// Makes the mount at `path` writable, and its filesystem if need be.
fn make_writable(path: &str) -> Result<(), SystemError> {
    let directory = open(path)?;
    let read_only = |directory: &OwnedFd| mount::is_read_only(directory).context("look at", path);
    if !read_only(&directory)? {
        return Ok(());
    }
    if dir::stat_fd(&directory).context("look at", path)?.mount_root {
        mount::set_access(directory.as_fd(), mount::Access::Writable).context("make writable", path)?;
    }
    // A mount can be made writable, and its filesystem still refuse.
    if read_only(&open(path)?)? {
        mount::reconfigure(Path::new(path), "rw").context("remount writable", path)?;
    }
    Ok(())
}

/// Reads a small file inside `root`, which is the directory `shown`; `None`: it is not there.
pub(crate) fn read_if_there(
    root: impl AsFd,
    shown: &dyn Display,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, SystemError> {
    match dir::read(root, path, limit) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some).context("read", format_args!("{shown}/{path}")),
    }
}
