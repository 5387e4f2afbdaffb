//! The directories that everything is looked up in, writable: in a mount namespace of this process alone, whatever they are outside.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_sysroot::Roots;
use ostree_sysroot::roots::open_boot;
use rustix::fs::{Mode, OFlags};
use system::{Context, SystemError, dir, mount};

const SYSROOT: &str = "/sysroot";
const BOOT: &str = "/boot";

/// Opens the physical root and `/boot`, both writable. An automounted `/boot` is mounted by this.
pub(crate) fn open() -> Result<Roots, SystemError> {
    open_with(&[SYSROOT, BOOT])
}

/// The same with only the physical root writable: `/boot` stays as it is.
pub(crate) fn open_with_writable_sysroot() -> Result<Roots, SystemError> {
    open_with(&[SYSROOT])
}

fn open_with(writable: &[&str]) -> Result<Roots, SystemError> {
    let root = Path::new("/");
    // Outside first: in a namespace of one's own nobody answers an automount.
    let outer_boot = Some(open_boot(root)?);
    mount::enter_private_namespace().context("enter", "a mount namespace of its own")?;
    writable.iter().try_for_each(|path| make_writable(path))?;
    // All else anew: a unit may have a namespace of its own, which ends when this process leaves it. What was mounted below a directory
    // that was opened in there (`/run` below `/`, an ESP below `/boot`) is not to be seen through it any more.
    Ok(Roots { outer_boot, ..Roots::at(root)? })
}

/// Makes the mount at `path` writable, and its filesystem if need be.
fn make_writable(path: &str) -> Result<(), SystemError> {
    let directory = open_directory(path)?;
    let read_only = |directory: &OwnedFd| mount::is_read_only(directory).context("look at", path);
    if !read_only(&directory)? {
        return Ok(());
    }
    if dir::stat_fd(&directory).context("look at", path)?.mount_root {
        mount::set_access(directory.as_fd(), mount::Access::Writable).context("make writable", path)?;
    }
    // A mount can be made writable, and its filesystem still refuse.
    if read_only(&open_directory(path)?)? {
        mount::reconfigure(Path::new(path), "rw").context("remount writable", path)?;
    }
    Ok(())
}

fn open_directory(path: &str) -> Result<OwnedFd, SystemError> {
    // Not `O_PATH`: that would not mount what is automounted.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).context("open", path)
}
