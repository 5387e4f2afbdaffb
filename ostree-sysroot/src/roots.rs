//! The directories that everything is looked up in: the running system, its physical root and its `/boot`.

use std::fmt::Display;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError};

/// `f_type` of FAT, see statfs(2).
const FAT: i64 = 0x4d44;

/// All of them, held open.
#[derive(Debug)]
pub struct Roots {
    /// The root of the system: `/` if it is the running one.
    pub system: OwnedFd,
    /// The physical root.
    pub sysroot: OwnedFd,
    /// The `/boot` that boot loaders read.
    pub boot: OwnedFd,
    /// Whether `/boot` is a filesystem of its own. If not, it is opened through the physical root, so that hard links between the
    /// two are possible: the `/boot` of a booted system is another mount of the same directory.
    pub boot_is_separate: bool,
    /// `/boot` as it is mounted in the system, with the mounts below it, which are not visible in the physical root's directory.
    /// While it is open, an automounted `/boot` stays mounted, and so does every unit that requires it.
    pub mounted_boot: OwnedFd,
    /// The same, opened in the mount namespace that this process was started in, if it has left that. It is only kept open: after the
    /// last process has left a namespace, its directories no longer show the mounts below them.
    pub outer_boot: Option<OwnedFd>,
}

impl Roots {
    /// Opens those of the system whose root is the directory `root`. This mounts an automounted `/boot`.
    ///
    /// # Errors
    /// `/sysroot` or `/boot` cannot be opened.
    pub fn at(root: &Path) -> Result<Self, SystemError> {
        let system = dir::open_root(root).context("open", root.display())?;
        let sysroot = open(&system, "sysroot")?;
        let boot = open(&system, "boot")?;
        let mounted_boot = open(&system, "boot")?;
        let device = dir::stat_fd(&sysroot).context("read the attributes of", "/sysroot")?.device;
        let boot_is_separate = dir::stat_fd(&boot).context("read the attributes of", "/boot")?.device != device;
        let boot = if boot_is_separate { boot } else { boot_of_the_physical_root(&sysroot)? };
        Ok(Self { system, sysroot, boot, boot_is_separate, mounted_boot, outer_boot: None })
    }

    /// Opens `/boot/ostree`, which may be a link; `None` if it does not exist.
    ///
    /// # Errors
    /// Any but `ENOENT`.
    pub fn boot_ostree(&self) -> Result<Option<OwnedFd>, SystemError> {
        match dir::open(&self.boot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => Ok(None),
            other => other.map(Some).context("open", "/boot/ostree"),
        }
    }

    /// Whether `/boot` is a directory of the physical root, or of the root's image, without a `loader`: then its filesystem is not
    /// mounted.
    ///
    /// # Errors
    /// The attributes of a file cannot be read.
    pub fn boot_is_a_bare_mount_point(&self) -> Result<bool, SystemError> {
        let is_mounted = dir::stat_fd(&self.mounted_boot).context("read the attributes of", "/boot")?.mount_root;
        let mut is_bare = !(self.boot_is_separate && is_mounted);
        for name in ["loader", "loader.0", "loader.1"] {
            let stat =
                dir::stat_name(&self.boot, name).context("read the attributes of", format_args!("/boot/{name}"))?;
            is_bare &= stat.is_none();
        }
        Ok(is_bare)
    }

    /// Whether `/boot` is FAT, which has no links.
    ///
    /// # Errors
    /// As fstatfs(2).
    pub fn boot_is_fat(&self) -> Result<bool, SystemError> {
        Ok(rustix::fs::fstatfs(&self.boot).context("read the attributes of", "/boot")?.f_type == FAT)
    }
}

/// Opens `/boot` of the system whose root is the directory `root`. This mounts an automounted `/boot`.
///
/// # Errors
/// It cannot be opened.
pub fn open_boot(root: &Path) -> Result<OwnedFd, SystemError> {
    let system = dir::open_root(root).context("open", root.display())?;
    open(&system, "boot")
}

fn open(system: &OwnedFd, name: &str) -> Result<OwnedFd, SystemError> {
    // Not `O_PATH`, which does not trigger an automount.
    dir::open(system, name, OFlags::RDONLY | OFlags::DIRECTORY).context("open", format_args!("/{name}"))
}

fn boot_of_the_physical_root(sysroot: &OwnedFd) -> Result<OwnedFd, SystemError> {
    dir::open(sysroot, "boot", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/sysroot/boot")
}

/// Reads a small file inside the directory `root`, which messages name `shown`; `None` if it does not exist.
///
/// # Errors
/// Any but `ENOENT`; `EFBIG` for a file that is larger than `limit` bytes.
pub fn read_if_there(
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
