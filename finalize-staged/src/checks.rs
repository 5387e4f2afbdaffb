//! Checks before anything is changed, and the messages if there is nothing to do.

use std::path::Path;

use ostree_sysroot::{SysrootError, booted};

use crate::error::{Error, SHOWN_CONFLICTS};
use crate::finalization::Finalization;
use crate::read::run_directory::{self, StagedNow};

/// The first check of every command that changes something.
pub(crate) fn require_booted_and_root() -> Result<(), Error> {
    if !booted::is_booted(Path::new("/"))? {
        return Err(SysrootError::NotBooted.into());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    Ok(())
}

pub(crate) fn log_nothing_to_do(found: &StagedNow) {
    match found {
        // libostree's words: other programs look for them.
        StagedNow::Locked => log::info!("Not finalizing; deployment is locked for finalization"),
        StagedNow::Empty => log::warn!("{} is empty: no deployment is staged", run_directory::STAGED),
        _ => log::info!("no deployment is staged: nothing to do"),
    }
}

/// Returns an error if there are conflicts in `/etc`, before anything is changed. For conflicts at which libostree stops, too, it
/// also logs libostree's words, because monitoring looks for them.
pub(crate) fn refuse_conflicts(plan: &Finalization) -> Result<(), Error> {
    let conflicts = plan.etc.as_ref().map(|etc| etc.plan.conflicts.as_slice()).unwrap_or_default();
    if conflicts.is_empty() {
        return Ok(());
    }
    for conflict in conflicts.iter().filter(|conflict| conflict.is_known_to_libostree()).take(SHOWN_CONFLICTS) {
        let path = conflict.path.below_etc();
        log::error!("Modified config file newly defaults to directory '{path}', cannot merge");
    }
    Err(Error::Conflicts(conflicts.to_vec()))
}

/// Logs the special files that are not copied, in libostree's words, because monitoring looks for them, and in clearer ones.
pub(crate) fn report_skipped(plan: &Finalization) {
    for skipped in plan.etc.iter().flat_map(|etc| &etc.skipped) {
        let path = skipped.path.below_etc();
        log::info!("Ignoring non-regular/non-symlink file found during /etc merge: {path}");
        log::warn!("{} is a device, fifo or socket and is not copied to the new /etc", skipped.path);
    }
}
