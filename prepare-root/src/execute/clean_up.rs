//! Cleans up after a run that was killed.

use std::path::Path;

use ostree_formats::mountinfo;
use system::proc::Proc;
use system::{Context, SystemError, dir, mount};

use super::mounts::is_mount;
use super::undo;
use crate::facts::Caller;
use crate::plan::{LOWER, STAGING};
use crate::read::mount_state::{self, Leftover};

/// Moves the physical root back and removes what a killed run has left. Only this program mounts at the staging place.
pub(crate) fn clean_up_interrupted_run(sysroot: &Path, caller: Caller) -> Result<(), SystemError> {
    if caller == Caller::Pid1 {
        return Ok(());
    }
    if !is_mount(STAGING)? {
        // An image that was mounted to become a layer.
        if is_mount(LOWER)? {
            mount::detach(Path::new(LOWER)).context("take away what an earlier run left at", LOWER)?;
        }
        return Ok(());
    }
    let proc = Proc::open()?;
    let mounts = mountinfo::parse(&proc.mountinfo()?);
    let opened = dir::open_root(sysroot).context("open", sysroot.display())?;
    let sysroot = proc.path_of(opened).context("find the path of", sysroot.display())?;
    match mount_state::leftover(&mounts, Path::new(STAGING), &sysroot) {
        Leftover::Nothing => return Ok(()),
        Leftover::Beside => {}
        Leftover::AroundPhysicalRoot { writable } => {
            undo::bring_back_physical_root(STAGING, &sysroot, writable)
                .context("bring back the physical root to", sysroot.display())?;
        }
    }
    mount::detach(Path::new(STAGING)).context("take away what an earlier run left at", STAGING)?;
    undo::remove_records()?;
    log::warn!("an earlier run was interrupted; its leftovers are removed");
    Ok(())
}
