//! The state between two steps: what is open, what is mounted where, and what must be undone after a failure.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use system::mount::Detached;
use system::{Context, SystemError, dir};

use super::undo::Undo;
use crate::facts::Caller;
use crate::plan::step::MountSource;
use crate::read::deployment::Deployment;
use crate::read::physical_root::PhysicalRoot;

/// The state between two steps.
pub(super) struct Stage<'a> {
    pub(super) physical: &'a PhysicalRoot,
    /// Where the physical root is now: PID 1 moves it.
    pub(super) physical_at: PathBuf,
    pub(super) deployment: &'a Deployment,
    /// Where the new root is.
    pub(super) new_root_at: PathBuf,
    /// `/run`, or what will become it.
    pub(super) run: OwnedFd,
    /// The current path of `run`.
    pub(super) run_at: PathBuf,
    pub(super) new_run: Option<Detached>,
    pub(super) new_root: Option<Detached>,
    /// The copy of the physical root's mount that is in the new root.
    pub(super) sysroot: Option<Detached>,
    /// Name below `/run/ostree`.
    pub(super) transient_etc: Option<String>,
    /// What must be undone after a failure.
    pub(super) undo: Undo,
}

/// Undoes the steps after a failure; after a success there is nothing to undo.
impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.undo.undo(&self.run, &self.physical.at);
    }
}

impl<'a> Stage<'a> {
    /// Nothing is done yet.
    pub(super) fn new(
        physical: &'a PhysicalRoot,
        deployment: &'a Deployment,
        caller: Caller,
    ) -> Result<Self, SystemError> {
        // As PID 1 there may be no /run: its first step makes one, and / is used until then.
        let run = if caller == Caller::Pid1 { "/" } else { "/run" };
        let run = dir::open_root(Path::new(run)).context("open", run)?;
        Ok(Self {
            physical,
            physical_at: physical.at.clone(),
            deployment,
            new_root_at: PathBuf::new(),
            run,
            run_at: PathBuf::from("/run"),
            new_run: None,
            new_root: None,
            sysroot: None,
            transient_etc: None,
            undo: Undo::default(),
        })
    }

    /// The current path of a place, because an overlay takes its layers by path.
    pub(super) fn path_of(&self, place: &MountSource) -> String {
        match place {
            MountSource::Physical(path) => self.physical_at.join(path).display().to_string(),
            // The path in the new root, which is not mounted over yet. It is short: the kernel limits an option to 255 bytes,
            // and the path of a deployment on the physical root has more than 100.
            MountSource::Deployment(name) => self.new_root_at.join(name).display().to_string(),
            MountSource::TransientEtc(name) => {
                let directory = self.transient_etc.as_deref().unwrap_or_default();
                format!("/run/ostree/{directory}/{name}").trim_end_matches('/').to_owned()
            }
        }
    }
}
