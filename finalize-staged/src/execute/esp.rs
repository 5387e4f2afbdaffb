//! The projection onto an ESP: room for the update before anything changes, and the new list after the swap.

use std::os::fd::AsFd;

use esp_projection::plan::PlanError;
use esp_projection::projection::{Projection, ProjectionError};
use esp_projection::read::list;
use esp_projection::settings::Settings;
use ostree_sysroot::{Roots, Sysroot};

use super::failure_stamp::{FINALIZED_BUT, Stamp};
use crate::error::Error;
use crate::finalization::Finalization;
use crate::tell::progress::{Phase, Progress};

/// What the next boot reports of an ESP that has the old list.
const IS_OLD: &str = "the ESP boots the old deployments";

/// The settings, if they ask for a projection.
///
/// # Errors
/// They cannot be read: the ESP may boot what is to be removed.
pub(crate) fn settings(roots: &Roots) -> Result<Option<Settings>, Error> {
    let settings = Settings::read(roots.system.as_fd()).map_err(Error::Esp)?;
    settings.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    Ok(settings.enabled.then_some(settings))
}

/// Whether the ESP can be written to, and has room for the update. Nothing is changed.
///
/// # Errors
/// It cannot, or has not.
pub(crate) fn check(roots: &Roots, sysroot: &Sysroot, plan: &Finalization, settings: &Settings) -> Result<(), Error> {
    let look = || -> Result<(), ProjectionError> {
        let mut projection = Projection::read(roots, sysroot, settings)?;
        let stays = |listed: &esp_projection::list::Listed| {
            plan.boot.list.iter().any(|other| other.deployment.path == listed.deployment)
        };
        let new = plan.boot.list.iter().find(|listed| listed.deployment.path == plan.target);
        projection.list.deployments.retain(stays);
        if let Some(new) = new {
            projection.list.deployments.insert(0, list::of_tree(roots, &new.deployment)?);
        }
        projection.keep(settings);
        projection.plan()?;
        projection.check_writable()
    };
    look().map_err(|error| match error {
        ProjectionError::Plan(PlanError::NoRoom(no_room)) => Error::EspFull(no_room.to_string()),
        error => Error::Esp(error.to_string()),
    })
}

/// Projects the list that boots now. Returns whether that has succeeded: else the old deployments must stay, since the ESP boots them.
pub(crate) fn project(
    roots: &Roots,
    settings: &Settings,
    progress: &mut Progress,
    stamp: &mut Stamp,
    remarks: &[String],
) -> bool {
    progress.enter(Phase::Esp);
    let project = |progress: &mut Progress| -> Result<(), ProjectionError> {
        let sysroot = Sysroot::load(roots).map_err(esp_projection::read::ReadError::from)?;
        let mut projection = Projection::read(roots, &sysroot, settings)?;
        let steps = projection.plan()?;
        projection.execute(roots, &steps, &mut || progress.step())
    };
    let Err(error) = project(progress) else { return true };
    let remark = format!("{IS_OLD}: {error}; to write the new ones: `firstroot esp sync`");
    log::error!("{FINALIZED_BUT}{remark}");
    let all: Vec<String> = std::iter::once(remark).chain(remarks.iter().cloned()).collect();
    stamp.swapped(roots, &all);
    false
}

/// Whether the ESP has what boots now, or `esp.conf` does not ask for that.
pub(crate) fn is_current(roots: &Roots, sysroot: &Sysroot) -> bool {
    let settings = match settings(roots) {
        Ok(Some(settings)) => settings,
        Ok(None) => return true,
        Err(error) => {
            log::warn!("{error}");
            return false;
        }
    };
    let look = || Projection::read(roots, sysroot, &settings)?.plan();
    match look() {
        Ok(steps) => steps.is_empty(),
        Err(error) => {
            log::warn!("{error}");
            false
        }
    }
}
