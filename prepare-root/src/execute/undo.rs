//! What has to be undone when a step fails: the emergency shell shall find the physical root where it was, and a second run
//! a clean place.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;
use system::mount::{self, Access};
use system::{Context, SystemError, dir};

/// Below `/run`: by it systemd finds the disk behind a root that is an overlay.
pub(super) const VOLATILE_ROOT: &str = "systemd/volatile-root";

/// What was done so far and would be in the way; after [`Undo::commit`] nothing of it is.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// The new root is mounted at this path.
    pub(super) new_root: Option<String>,
    /// The image, or a root made of it, may be mounted at this path.
    pub(super) lower: Option<String>,
    /// The physical root is nowhere but inside the new one; whether its mount was writable.
    pub(super) physical_root_inside: Option<bool>,
    /// The link to the disk behind an image is made, and would lie.
    pub(super) volatile_root: bool,
    /// `/run/ostree-booted` is written, and would lie.
    pub(super) booted_state: bool,
    /// The directory that `etc.transient` made, below `/run/ostree`.
    pub(super) transient_etc: Option<String>,
}

impl Undo {
    /// All went well: from here on nothing is undone.
    pub(super) fn commit(&mut self) {
        *self = Undo::default();
    }

    /// Undoes it, each on its own: what cannot be undone is no reason to leave the rest, and the failure that led here is
    /// what gets told.
    pub(super) fn undo(&mut self, run: &OwnedFd, physical_at: &Path) {
        if self.booted_state {
            let _ = dir::remove_file(run, "ostree-booted");
        }
        if self.volatile_root {
            let _ = dir::remove_file(run, VOLATILE_ROOT);
        }
        if let Some(lower) = &self.lower {
            let _ = mount::detach(Path::new(lower));
        }
        if let Some(new_root) = &self.new_root {
            if let Some(writable) = self.physical_root_inside {
                let _ = bring_back_physical_root(new_root, physical_at, writable);
            }
            let _ = mount::detach(Path::new(new_root));
        }
        if let Some(name) = &self.transient_etc {
            let _ = remove_transient_etc(run, name);
        }
    }
}

/// Removes the directories for a transient `/etc` that nothing was written to.
fn remove_transient_etc(run: &OwnedFd, name: &str) -> Result<(), Errno> {
    // The overlay leaves directories of its own in the work directory.
    for inside in ["/work/work", "/work/index", "/work", "/upper", ""] {
        match rustix::fs::unlinkat(run, format!("ostree/{name}{inside}"), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes what a run that was killed has written below `/run`, as far as it is there.
///
/// # Errors
/// What cannot be removed: it would lie about the boot that follows.
pub(super) fn remove_records() -> Result<(), SystemError> {
    let run = dir::open_root(Path::new("/run")).context("open", "/run")?;
    for name in ["ostree-booted", VOLATILE_ROOT, "ostree/recovered-boot"] {
        dir::remove_file(&run, name).context("remove", format_args!("/run/{name}"))?;
    }
    let names = dir::if_there(dir::names(&run, "ostree")).context("list", "/run/ostree")?.unwrap_or_default();
    for name in names.iter().filter(|name| name.starts_with("transient-etc.")) {
        remove_transient_etc(&run, name).context("remove", format_args!("/run/ostree/{name}"))?;
    }
    Ok(())
}

/// Mounts the physical root, which is inside the new root and nowhere else, where it was.
///
/// `writable` is whether its mount was: the one inside may have been made read-only.
pub(super) fn bring_back_physical_root(new_root: &str, at: &Path, writable: bool) -> Result<(), Errno> {
    let inside = dir::open_root(&Path::new(new_root).join("sysroot"))?;
    let copy = mount::clone(inside)?;
    mount::set_access(&copy, if writable { Access::Writable } else { Access::Inherited })?;
    mount::attach_at(copy, CWD, at)
}
