//! Where a new root is put together: what is open, what is mounted where by now, and what would have to be undone.

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
    /// The path by which the kernel finds that now.
    pub(super) run_at: PathBuf,
    pub(super) new_run: Option<Detached>,
    pub(super) new_root: Option<Detached>,
    /// The copy of the physical root's mount that is in the new root.
    pub(super) sysroot: Option<Detached>,
    /// Name below `/run/ostree`.
    pub(super) transient_etc: Option<String>,
    /// What would have to be undone.
    pub(super) undo: Undo,
}

/// Unless all went well.
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
        // PID 1 may find no /run: its first step makes one, and this stands in until then.
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

    /// The path under which the kernel finds a place now: an overlay takes its layers by path.
    pub(super) fn path_of(&self, place: &MountSource) -> String {
        match place {
            MountSource::Physical(path) => self.physical_at.join(path).display().to_string(),
            // Of the new root, where nothing covers it yet. The kernel takes no option that is longer than 255 bytes, and
            // on the physical root the path of one deployment alone has more than a hundred.
            MountSource::Deployment(name) => self.new_root_at.join(name).display().to_string(),
            MountSource::TransientEtc(name) => {
                let directory = self.transient_etc.as_deref().unwrap_or_default();
                format!("/run/ostree/{directory}/{name}").trim_end_matches('/').to_owned()
            }
        }
    }
}
