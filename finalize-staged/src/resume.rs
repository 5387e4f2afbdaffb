//! What to do after an earlier run was interrupted.

use boot_list::execute::{cleanup, durability};
use boot_list::loader::grub;
use boot_list::plan::list;
use boot_list::plan::removals::Current;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::deployment::identity;
use ostree_sysroot::sysroot::deployments_in;
use ostree_sysroot::{Roots, Sysroot};
use system::SystemError;

use crate::error::Error;
use crate::execute::failure_stamp::Stamp;
use crate::execute::policy;
use crate::execute::{attempts, esp, etc_before, failure_stamp};
use crate::read::run_directory::{ResumeRecord, RunDirectory};
use crate::tell::progress::{Phase, Progress};

/// The state after an interrupted run.
pub(crate) enum Resume {
    /// The old list is active: start again.
    Again,
    /// The new list is already active.
    Swapped,
    /// Another program has changed the system since.
    Void,
}

pub(crate) fn resume(
    roots: &Roots,
    run: &RunDirectory,
    sysroot: &Sysroot,
    staged: &StagedState,
    resume_record: &ResumeRecord,
) -> Result<Resume, Error> {
    let now: Vec<String> = sysroot.deployments.iter().map(|deployment| deployment.path.to_string()).collect();
    if resume_record.booted == sysroot.booted.to_string() {
        if now == resume_record.after {
            return Ok(Resume::Swapped);
        }
        let is_there = identity(roots, &staged.target.deployment)?.is_some();
        if is_there && sysroot.fingerprint() == resume_record.before {
            return Ok(Resume::Again);
        }
    }
    log::warn!(
        "discarding the interrupted update /{}: the system changed since; stage it again",
        staged.target.deployment
    );
    etc_before::forget(roots);
    run.end()?;
    Ok(Resume::Void)
}

/// Undoes the merge of an earlier run, if there is a record of it. Returns whether the deployment is as it was staged.
pub(crate) fn is_undone(
    roots: &Roots,
    run: &RunDirectory,
    target: &DeploymentPath,
    is_interrupted: bool,
) -> Result<bool, SystemError> {
    let is_restored = etc_before::restore(roots, run, target)?;
    if is_restored {
        if is_interrupted {
            run.give_back()?;
        }
        run.is_as_announced()?;
    }
    Ok(is_restored)
}

/// Does the rest of an interrupted run that has swapped.
pub(crate) fn finish_interrupted(
    roots: &Roots,
    run: &RunDirectory,
    sysroot: &Sysroot,
    resume_record: &ResumeRecord,
    progress: &mut Progress,
) -> Result<(), Error> {
    log::info!("an earlier run was interrupted after it had activated the update: cleaning up");
    // The files of the old list are removed only after the new list is on the disk.
    durability::everything(roots)?;
    finish_menu(roots, sysroot);
    let is_projected = match esp::settings(roots)? {
        Some(settings) => {
            let remarks =
                failure_stamp::read(roots)?.and_then(|text| failure_stamp::remarks(&text)).unwrap_or_default();
            let target = sysroot.deployments.first().map_or(&sysroot.booted, |default| &default.path);
            let mut stamp = Stamp::without_file(target);
            esp::project(roots, &settings, progress, &mut stamp, &remarks)
        }
        None => {
            attempts::keep_after_swap(roots);
            true
        }
    };
    progress.enter(Phase::Clean);
    if is_projected {
        let list = list::current(sysroot);
        let before = deployments_in(&resume_record.before);
        cleanup::clean(roots, &Current::with(sysroot, list), &before);
    }
    forget(roots, run);
    Ok(())
}

/// Puts a new menu of GRUB in its place, and removes the stamp, unless it has remarks for the next boot.
fn finish_menu(roots: &Roots, sysroot: &Sysroot) {
    let is_new = grub::finish(roots, sysroot).unwrap_or_else(|error| {
        log::warn!("{error}");
        false
    });
    let stamp = failure_stamp::read(roots).ok().flatten().unwrap_or_default();
    let counts = |remark: &&String| !is_new || !remark.starts_with(failure_stamp::MENU_IS_OLD);
    match failure_stamp::remarks(&stamp).unwrap_or_default().iter().filter(counts).collect::<Vec<_>>().as_slice() {
        [] => failure_stamp::remove(roots),
        remarks => remarks.iter().for_each(|remark| log::warn!("{}{remark}", failure_stamp::FINALIZED_BUT)),
    }
}

/// Removes the data of an interrupted run.
pub(crate) fn forget(roots: &Roots, run: &RunDirectory) {
    etc_before::forget(roots);
    policy::apply::forget(roots);
    if let Err(error) = run.end() {
        log::warn!("{error}");
    }
}
