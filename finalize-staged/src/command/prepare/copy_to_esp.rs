//! The kernel of the update, on the ESP before shutdown.

use std::time::Duration;

use esp_projection::settings::Settings;
use ostree_sysroot::{Roots, Sysroot};

use crate::error::Error;
use crate::execute::esp;
use crate::execute::lock::lock;
use crate::finalization::Finalization;
use crate::read::run_directory::RunDirectory;

/// As long as a program that stages an update may go on after it has announced it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever writes to the ESP has the lock. Shutdown stops this program, and need not wait for it.
/// Returns whether `plan` is still one for the list that there is: else nothing is done.
pub(super) fn copy_to_esp(
    roots: &Roots,
    run: &RunDirectory,
    before: &Sysroot,
    plan: &Finalization,
    settings: &Settings,
) -> Result<bool, Error> {
    let locked = match lock(roots, PATIENCE, &|| ()) {
        Err(Error::Locked { holder, .. }) => {
            log::info!("{holder} holds the sysroot lock: shutdown will copy the new kernel to the ESP");
            return Ok(true);
        }
        other => other?,
    };
    let sysroot = Sysroot::load(roots)?;
    // Whoever had the lock may have removed what the plan is about.
    if !run.deployments()?.contains(&plan.target) || sysroot.fingerprint() != before.fingerprint() {
        return Ok(false);
    }
    esp::copy(roots, &sysroot, plan, settings)?;
    drop(locked);
    Ok(true)
}
