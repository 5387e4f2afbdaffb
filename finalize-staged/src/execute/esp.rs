//! The projection onto an ESP: room for the update before anything changes, and the new list after the swap.

use std::os::fd::AsFd;

use esp_projection::further::{Further, Role, Work, further};
use esp_projection::plan::{PlanError, Step, bulk};
use esp_projection::projection::{Projection, ProjectionError};
use esp_projection::read::images::Images;
use esp_projection::read::{ReadError, staged};
use esp_projection::settings::Settings;
use ostree_formats::origin;
use ostree_formats::rollbacks::{DIRECTORY, Rollback};
use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::{Roots, Sysroot};
use system::{Context, dir};

use super::failure_stamp::{FINALIZED_BUT, Stamp};
use crate::error::Error;
use crate::finalization::Finalization;
use crate::tell::progress::{Phase, Progress};

const HISTORY_LIMIT: u64 = 1 << 20;
const ORIGIN_LIMIT: u64 = 1 << 20;
/// What the next boot reports of an ESP that has the old list.
const IS_OLD: &str = "the ESP boots the old deployments";

/// The settings, if they ask for a projection.
///
/// # Errors
/// They cannot be read: the ESP may boot what is to be removed.
pub(crate) fn settings(roots: &Roots) -> Result<Option<Settings>, Error> {
    Ok(Some(all_settings(roots)?).filter(|settings| settings.enabled))
}

/// The settings, whether they ask for a projection or not.
///
/// # Errors
/// They cannot be read.
pub(crate) fn all_settings(roots: &Roots) -> Result<Settings, Error> {
    let settings = Settings::read(roots.system.as_fd()).map_err(Error::Esp)?;
    settings.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    Ok(settings)
}

/// Refuses an update that was rolled back, if `esp.conf` asks for that.
///
/// # Errors
/// It was rolled back, or it is not known whether it was.
pub(crate) fn refuse_rolled_back(roots: &Roots, target: &Deployment, settings: &Settings) -> Result<(), Error> {
    if !settings.refuse {
        return Ok(());
    }
    let path = format!("{DIRECTORY}/rollbacks");
    let read = dir::if_there(dir::read(roots.system.as_fd(), &path, HISTORY_LIMIT));
    let history = read.context("read", format_args!("/{path}"))?.unwrap_or_default();
    let origin = target.path.origin_file();
    let source =
        dir::if_there(dir::read(&roots.sysroot, &origin, ORIGIN_LIMIT)).context("read", format_args!("/{origin}"))?;
    let source = source.and_then(|bytes| origin::followed(&bytes));
    let (commit, version) = (target.path.id.commit.as_str(), target.version.as_deref());
    let history = String::from_utf8_lossy(&history);
    let rollbacks = history.lines().filter_map(|line| line.parse::<Rollback>().ok());
    let mut of_it =
        rollbacks.filter(|rollback| rollback.counts() && rollback.was_of(commit, version, source.as_deref()));
    of_it.next().map_or(Ok(()), |rollback| Err(Error::RolledBack { target: target.path.clone(), from: rollback.from }))
}

/// Refuses an update that its unified kernel image cannot boot, if the ESP would have that one.
///
/// # Errors
/// It cannot, or the image cannot be read.
pub(crate) fn check_image(roots: &Roots, target: &Deployment, settings: &Settings) -> Result<(), Error> {
    let mut images = Images::new(roots, settings.uki);
    staged::of_tree(roots, target, &mut images).map_err(|error| of_projection(error.into()))?;
    // Shutdown need not read it again.
    images.remember(roots);
    Ok(())
}

/// Whether the ESP can be written to, and has room for the update. Nothing is changed.
///
/// # Errors
/// It cannot, or has not.
pub(crate) fn check(roots: &Roots, sysroot: &Sysroot, plan: &Finalization, settings: &Settings) -> Result<(), Error> {
    let look = || -> Result<(), ProjectionError> {
        let mut projection = with_update(roots, sysroot, plan, settings)?;
        projection.plan()?;
        projection.check_writable()?;
        tell(&further(&projection, roots, &settings.also, Work::Check));
        Ok(())
    };
    look().map_err(of_projection)
}

/// Copies the kernel of the update to the ESP: a payload that no entry names.
///
/// # Errors
/// The ESP cannot be written to, or has no room.
pub(crate) fn copy(roots: &Roots, sysroot: &Sysroot, plan: &Finalization, settings: &Settings) -> Result<(), Error> {
    let copy = || -> Result<(), ProjectionError> {
        let mut projection = with_update(roots, sysroot, plan, settings)?;
        let steps = projection.plan()?;
        projection.check_writable()?;
        let is_copying = |step: &Step| matches!(step, Step::WritePayload(_));
        let (is_missing, bulk) = (steps.iter().any(is_copying), bulk(steps));
        projection.execute(roots, &bulk, &mut || ())?;
        tell(&further(&projection, roots, &settings.also, Work::Check));
        match bulk.iter().find(|step| is_copying(step)) {
            Some(_) => log::info!("the ESP has the new kernel"),
            None if is_missing => {
                log::info!(
                    "the ESP has room for the new kernel only after an old one is removed: shutdown will copy it"
                );
            }
            None => {}
        }
        Ok(())
    };
    copy().map_err(of_projection)
}

/// What will be to be projected, when the update is the default.
fn with_update(
    roots: &Roots,
    sysroot: &Sysroot,
    plan: &Finalization,
    settings: &Settings,
) -> Result<Projection, ProjectionError> {
    let mut projection = Projection::read(roots, sysroot, settings)?;
    let stays = |listed: &esp_projection::list::Listed| {
        plan.boot.list.iter().any(|other| other.deployment.path == listed.deployment)
    };
    let new = plan.boot.list.iter().find(|listed| listed.deployment.path == plan.target);
    projection.list.deployments.retain(stays);
    if let Some(new) = new {
        projection.add_staged(roots, &new.deployment)?;
    }
    projection.keep(settings);
    Ok(projection)
}

fn of_projection(error: ProjectionError) -> Error {
    match error {
        ProjectionError::Plan(PlanError::NoRoom(no_room)) => Error::EspFull(no_room.to_string()),
        ProjectionError::Read(error @ ReadError::OverlayWithImage { .. }) => Error::OverlayWithImage(error.to_string()),
        ProjectionError::Read(error @ ReadError::SeveralImages { .. }) => Error::SeveralImages(error.to_string()),
        error => Error::Esp(error.to_string()),
    }
}

/// Tells what is wrong with further ESPs.
fn tell(further: &[Further]) {
    for further in further {
        if let Err(error) = &further.steps {
            log::warn!("{further}: {error}");
        }
    }
}

/// Whether a further ESP may boot what is about to be removed. An ESP that is not there may come back with its old list.
fn may_boot_the_old(further: &[Further]) -> bool {
    let Some(further) = further.iter().find(|further| further.may_boot_another) else { return false };
    let without = match further.role {
        Role::Named => "take it out of [esp] also= in /etc/ostree/esp.conf",
        Role::Unnamed => "write [esp] partition= in /etc/ostree/esp.conf",
        Role::Beside => "remove the entries of this system from it",
    };
    log::warn!(
        "no old deployment is removed, since {further} may boot it; to write it: firstroot esp sync; to go on without it, {without}"
    );
    true
}

/// Projects the list that boots now. Returns whether no ESP may boot another one any more: else the old deployments must stay.
pub(crate) fn project(
    roots: &Roots,
    settings: &Settings,
    progress: &mut Progress,
    stamp: &mut Stamp,
    remarks: &[String],
) -> bool {
    progress.enter(Phase::Esp);
    let project = |progress: &mut Progress| -> Result<bool, ProjectionError> {
        let sysroot = Sysroot::load(roots).map_err(ReadError::from)?;
        let mut projection = Projection::read(roots, &sysroot, settings)?;
        let steps = projection.plan()?;
        projection.execute(roots, &steps, &mut || progress.step())?;
        let further = further(&projection, roots, &settings.also, Work::Project);
        tell(&further);
        Ok(!may_boot_the_old(&further))
    };
    let error = match project(progress) {
        Ok(is_everywhere) => return is_everywhere,
        Err(error) => error,
    };
    let remark = format!("{IS_OLD}: {error}; to write the new ones: `firstroot esp sync`");
    log::error!("{FINALIZED_BUT}{remark}");
    let all: Vec<String> = std::iter::once(remark).chain(remarks.iter().cloned()).collect();
    stamp.swapped(roots, &all);
    false
}

/// Whether the ESP has what boots now and a further one nothing else, or `esp.conf` does not ask for that.
pub(crate) fn is_current(roots: &Roots, sysroot: &Sysroot) -> bool {
    let settings = match settings(roots) {
        Ok(Some(settings)) => settings,
        Ok(None) => return true,
        Err(error) => {
            log::warn!("{error}");
            return false;
        }
    };
    let look = || -> Result<bool, ProjectionError> {
        let projection = Projection::read(roots, sysroot, &settings)?;
        let is_current = projection.plan()?.is_empty();
        Ok(is_current && !may_boot_the_old(&further(&projection, roots, &settings.also, Work::Plan)))
    };
    match look() {
        Ok(is_current) => is_current,
        Err(error) => {
            log::warn!("{error}");
            false
        }
    }
}
