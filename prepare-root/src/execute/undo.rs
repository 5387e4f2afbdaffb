//! What has to be undone when a step fails: the emergency shell shall find the physical root where it was, and a second run
//! a clean place.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::AtFlags;
use system::dir;
use system::mount::{self, Access};

use crate::physical_root::PhysicalRoot;

/// Undoes, when dropped, what was noted here.
#[derive(Debug)]
pub(super) struct Undo<'a> {
    physical: &'a PhysicalRoot,
    new_root: Option<String>,
    /// The physical root is nowhere but inside the new one; whether its mount was writable.
    physical_root_inside: Option<bool>,
    booted_state: Option<OwnedFd>,
    transient_etc: Option<(OwnedFd, String)>,
}

impl<'a> Undo<'a> {
    pub(super) fn new(physical: &'a PhysicalRoot) -> Self {
        Self { physical, new_root: None, physical_root_inside: None, booted_state: None, transient_etc: None }
    }

    /// All went well.
    pub(super) fn nothing(&mut self) {
        // Not by making a new one: that would drop, and so carry out, the old one.
        self.new_root = None;
        self.physical_root_inside = None;
        self.booted_state = None;
        self.transient_etc = None;
    }

    /// The new root, mounted at this path, is to go.
    pub(super) fn take_away(&mut self, new_root: &str) {
        self.new_root = Some(new_root.to_owned());
    }

    /// Where the new root is.
    pub(super) fn new_root_at(&self) -> &str {
        self.new_root.as_deref().unwrap_or_default()
    }

    /// The physical root is nowhere but inside the new one.
    pub(super) fn bring_back_physical_root(&mut self, writable: bool) {
        self.physical_root_inside = Some(writable);
    }

    /// `/run/ostree-booted` would lie.
    pub(super) fn remove_booted_state(&mut self, run: &OwnedFd) {
        self.booted_state = run.try_clone().ok();
    }

    /// The directory that `etc.transient` made is of no use to anybody.
    pub(super) fn remove_transient_etc(&mut self, run: &OwnedFd, name: &str) {
        self.transient_etc = run.try_clone().ok().map(|run| (run, name.to_owned()));
    }
}

impl Drop for Undo<'_> {
    /// Each on its own: what cannot be undone is no reason to leave the rest, and the failure that led here is what gets told.
    fn drop(&mut self) {
        if let Some(run) = &self.booted_state {
            let _ = dir::remove_file(run, "ostree-booted");
        }
        if let Some(new_root) = self.new_root.take() {
            if let Some(writable) = self.physical_root_inside {
                let _ = bring_back_physical_root(&new_root, &self.physical.at, writable);
            }
            let _ = mount::detach(Path::new(&new_root));
        }
        if let Some((run, name)) = &self.transient_etc {
            // The overlay leaves directories of its own in the work directory.
            for inside in ["/work/work", "/work/index", "/work", "/upper", ""] {
                let _ = rustix::fs::unlinkat(run, format!("ostree/{name}{inside}"), AtFlags::REMOVEDIR);
            }
        }
    }
}

/// Mounts the physical root, which is inside the new root and nowhere else, where it was.
///
/// `writable` is whether its mount was: the one inside may have been made read-only.
pub(crate) fn bring_back_physical_root(new_root: &str, at: &Path, writable: bool) -> Result<(), rustix::io::Errno> {
    let inside = dir::open_root(&Path::new(new_root).join("sysroot"))?;
    let copy = mount::clone(inside)?;
    mount::set_access(&copy, if writable { Access::Writable } else { Access::Inherited })?;
    mount::attach(copy, dir::open_root(at)?)
}
