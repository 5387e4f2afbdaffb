//! Undoes the steps after a failure: the emergency shell must find the physical root where it was, and a second run must find no
//! leftovers.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;
use system::mount::{self, Access};
use system::{Context, SystemError, dir};

/// Below `/run`: systemd finds the disk behind an overlay root with this link.
pub(super) const VOLATILE_ROOT: &str = "systemd/volatile-root";

/// Below `/run`: the deployment that a person has chosen by an option.
const CHOSEN: &str = "ostree/chosen-deployment";

/// Below `/run`: this boot counts.
const TRIAL: &str = "ostree/boot-trial";

/// What was done so far and must be undone after a failure; nothing after [`Undo::commit`].
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// The new root is mounted at this path.
    pub(super) new_root: Option<String>,
    /// The image, or a root made of it, may be mounted at this path.
    pub(super) lower: Option<String>,
    /// The physical root is mounted only inside the new root; whether its mount was writable.
    pub(super) physical_root_inside: Option<bool>,
    /// The link to the disk behind an image exists, and would be wrong.
    pub(super) volatile_root: bool,
    /// `/run/ostree-booted` exists, and would be wrong.
    pub(super) booted_state: bool,
    /// `/run/ostree/chosen-deployment` exists, and would be wrong.
    pub(super) choice_record: bool,
    /// `/run/ostree/boot-trial` exists, and would be wrong if another deployment is chosen now.
    pub(super) boot_trial: bool,
    /// The directory that `etc.transient` made, below `/run/ostree`.
    pub(super) transient_etc: Option<String>,
}

impl Undo {
    /// All steps succeeded: from here on nothing is undone.
    pub(super) fn commit(&mut self) {
        *self = Undo::default();
    }

    /// Undoes each part. An error here does not stop the other parts, and is not reported: the first failure is what the
    /// report is about.
    pub(super) fn undo(&mut self, run: &OwnedFd, physical_at: &Path) {
        if self.booted_state {
            let _ = dir::remove_file(run, "ostree-booted");
        }
        if self.choice_record {
            let _ = dir::remove_file(run, CHOSEN);
        }
        if self.boot_trial {
            let _ = dir::remove_file(run, TRIAL);
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

/// Removes the unused directories of a transient `/etc`.
fn remove_transient_etc(run: &OwnedFd, name: &str) -> Result<(), Errno> {
    // The overlay leaves directories in the work directory.
    for inside in ["/work/work", "/work/index", "/work", "/upper", ""] {
        match rustix::fs::unlinkat(run, format!("ostree/{name}{inside}"), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes the files that a killed run has written below `/run`.
///
/// # Errors
/// A file that cannot be removed: it would be wrong about this boot.
pub(super) fn remove_records() -> Result<(), SystemError> {
    let run = dir::open_root(Path::new("/run")).context("open", "/run")?;
    for name in ["ostree-booted", VOLATILE_ROOT, "ostree/recovered-boot", CHOSEN, TRIAL] {
        dir::remove_file(&run, name).context("remove", format_args!("/run/{name}"))?;
    }
    let names = dir::if_there(dir::names(&run, "ostree")).context("list", "/run/ostree")?.unwrap_or_default();
    for name in names.iter().filter(|name| name.starts_with("transient-etc.")) {
        remove_transient_etc(&run, name).context("remove", format_args!("/run/ostree/{name}"))?;
    }
    Ok(())
}

/// Moves the physical root, which is mounted only inside the new root, back to where it was.
///
/// `writable` is whether its mount was: the one inside may have been made read-only.
pub(super) fn bring_back_physical_root(new_root: &str, at: &Path, writable: bool) -> Result<(), Errno> {
    let inside = dir::open_root(&Path::new(new_root).join("sysroot"))?;
    let copy = mount::clone(inside)?;
    mount::set_access(&copy, if writable { Access::Writable } else { Access::Inherited })?;
    mount::attach_at(copy, CWD, at)
}
