//! Makes the physical root and `/boot` writable in a mount namespace of this process. Outside they stay as they are.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_sysroot::Roots;
use ostree_sysroot::roots::open_boot;
use rustix::fs::{Mode, OFlags};
use system::{Context, SystemError, dir, mount};

const SYSROOT: &str = "/sysroot";
const BOOT: &str = "/boot";

/// Opens the physical root and `/boot`, both writable. This mounts an automounted `/boot`.
pub(crate) fn open() -> Result<Roots, SystemError> {
    open_with(&[SYSROOT, BOOT])
}

/// The same with only the physical root writable: `/boot` stays as it is.
pub(crate) fn open_with_writable_sysroot() -> Result<Roots, SystemError> {
    open_with(&[SYSROOT])
}

fn open_with(writable: &[&str]) -> Result<Roots, SystemError> {
    let root = Path::new("/");
    // Before entering the namespace, because an automount does not work in a private one.
    let outer_boot = Some(open_boot(root)?);
    mount::enter_private_namespace().context("enter", "a mount namespace of its own")?;
    writable.iter().try_for_each(|path| make_writable(path))?;
    // Everything else is opened again: a unit may have a namespace of its own, which ends when this process leaves it. A directory that was
    // opened in there then no longer shows the mounts below it (`/run` below `/`, an ESP below `/boot`).
    Ok(Roots { outer_boot, ..Roots::at(root)? })
}

/// Makes the mount at `path` writable, and its filesystem if necessary.
fn make_writable(path: &str) -> Result<(), SystemError> {
    let directory = open_directory(path)?;
    let read_only = |directory: &OwnedFd| mount::is_read_only(directory).context("read the attributes of", path);
    if !read_only(&directory)? {
        return Ok(());
    }
    if dir::stat_fd(&directory).context("read the attributes of", path)?.mount_root {
        mount::set_access(directory.as_fd(), mount::Access::Writable).context("make writable", path)?;
    }
    // The mount is writable now, but the filesystem may still be read-only.
    if read_only(&open_directory(path)?)? {
        mount::reconfigure(Path::new(path), "rw").context("remount writable", path)?;
    }
    Ok(())
}

fn open_directory(path: &str) -> Result<OwnedFd, SystemError> {
    // Not `O_PATH`, which does not trigger an automount.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context("open", path)
}
