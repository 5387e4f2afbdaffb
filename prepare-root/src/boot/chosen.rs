//! Finds the deployment that a person has chosen: `firstroot.deployment=` or `--deployment`. No boot link is needed.

use std::os::fd::OwnedFd;

use ostree_formats::cmdline::{BootTarget, TargetError, TargetSource};
use ostree_formats::deployment::{DeploymentId, DeploymentPath};
use ostree_sysroot::boot_links::Followed;
use rustix::io::Errno;
use system::{Context, dir};

use super::target::Target;
use crate::facts::{ListedDeployment, Scope};
use crate::failed::cause::Cause;
use crate::plan::choice::{Choice, ChoiceError, choose};
use crate::read::deployment::Deployment;
use crate::read::deployments;
use crate::read::physical_root::PhysicalRoot;
use crate::read::scope::scope;

/// Finds it, in the stateroot that `asked_for` names.
pub(super) fn find(
    physical: &PhysicalRoot,
    choice: &Choice,
    asked_for: &Result<BootTarget, TargetError>,
) -> Result<Target, Cause> {
    if !physical.has_ostree()? {
        return Err(Cause::NotOstree(physical.at.display().to_string()));
    }
    let (Followed { path, directory }, warning) = match open(physical, choice, asked_for) {
        Ok(found) => {
            let warning = warning(physical, choice, asked_for, &found.path);
            (found, warning)
        }
        Err(cause) if is_gone(choice, &cause) => {
            in_place_of_one_that_is_gone(physical, choice, asked_for)?.ok_or(cause)?
        }
        Err(cause) => return Err(cause),
    };
    let argument = choice.argument.clone();
    let asked_for = BootTarget { path: format!("/{path}"), source: TargetSource::Deployment, argument };
    Ok(Target { deployment: Deployment { path, directory, image: None }, asked_for, recovery: None, warning })
}

/// Opens the deployment that the choice names.
pub(super) fn open(
    physical: &PhysicalRoot,
    choice: &Choice,
    asked_for: &Result<BootTarget, TargetError>,
) -> Result<Followed, Cause> {
    let scope = scope(physical, asked_for.as_ref().ok())?;
    if let Some(found) = by_whole_name(physical, choice, &scope)? {
        return Ok(found);
    }
    let deployments = deployments::list(physical);
    let ListedDeployment { path, .. } = choose(&deployments, &scope, &choice.word)
        .map_err(|error| Cause::Choice { argument: choice.argument.clone(), error })?;
    let directory = dir::open_directory(physical, path.to_string()).context("open", format_args!("/{path}"))?;
    Ok(Followed { path: path.clone(), directory })
}

/// `CHECKSUM.SERIAL`, as entries on an ESP have it at each boot: no list of all deployments is needed.
fn by_whole_name(physical: &PhysicalRoot, choice: &Choice, scope: &Scope) -> Result<Option<Followed>, Cause> {
    let (Scope::Stateroot(stateroot), Ok(id)) = (scope, choice.word.parse::<DeploymentId>()) else { return Ok(None) };
    let path = DeploymentPath { stateroot: stateroot.clone(), id };
    match dir::open_directory(physical, path.to_string()) {
        // What a removal that was cut has left is no deployment.
        Ok(directory) if !choice.by_option && !has_usr(&directory, &path)? => Ok(None),
        Ok(directory) => Ok(Some(Followed { path, directory })),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error).context("open", format_args!("/{path}"))?,
    }
}

fn has_usr(directory: &OwnedFd, path: &DeploymentPath) -> Result<bool, Cause> {
    let usr = dir::if_there(dir::open_directory(directory, "usr")).context("open", format_args!("/{path}/usr"))?;
    Ok(usr.is_some())
}

/// Whether an entry of an ESP names a deployment that was removed.
pub(super) fn is_gone(choice: &Choice, cause: &Cause) -> bool {
    let is_of_an_entry = !choice.by_option && choice.word.parse::<DeploymentId>().is_ok();
    is_of_an_entry && matches!(cause, Cause::Choice { error: ChoiceError::Nothing { .. }, .. })
}

/// What boots if the entry of an ESP names a deployment that was removed since: the first one of its stateroot, if it has the modules
/// of the kernel that runs. A person who has chosen one gets an error.
fn in_place_of_one_that_is_gone(
    physical: &PhysicalRoot,
    choice: &Choice,
    asked_for: &Result<BootTarget, TargetError>,
) -> Result<Option<(Followed, Option<String>)>, Cause> {
    let Scope::Stateroot(stateroot) = scope(physical, asked_for.as_ref().ok())? else { return Ok(None) };
    let deployments = deployments::list(physical);
    let is_complete = deployments.unread.is_empty() && deployments.unlisted.is_empty();
    let first = deployments.list.iter().find(|listed| listed.path.stateroot == stateroot);
    let Some(first) = first.filter(|_| is_complete) else { return Ok(None) };
    let path = first.path.clone();
    let directory = dir::open_directory(physical, path.to_string()).context("open", format_args!("/{path}"))?;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let modules = format!("usr/lib/modules/{kernel}");
    match dir::open_directory(&directory, &modules) {
        Ok(_) => {}
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(error).context("open", format_args!("/{path}/{modules}"))?,
    }
    let warning = format!(
        "the deployment of {} does not exist any more: booting /{path}, which has the same kernel; to write the entries on the ESP \
         anew: firstroot esp sync",
        choice.argument
    );
    Ok(Some((Followed { path, directory }, Some(warning))))
}

/// What happens later if the link names another deployment, or none: libostree uses the link.
fn warning(
    physical: &PhysicalRoot,
    choice: &Choice,
    asked_for: &Result<BootTarget, TargetError>,
    path: &DeploymentPath,
) -> Option<String> {
    let asked_for = asked_for.as_ref().ok()?;
    let reason = match physical.follow(&asked_for.path) {
        Ok(found) if found.path == *path => return None,
        Ok(found) => format!("leads to /{}", found.path),
        Err(_) => "leads to no deployment".to_owned(),
    };
    Some(format!(
        "booting /{path}, because of {}; {} {reason}, and the next boot without that choice uses it",
        choice.argument, asked_for.argument
    ))
}
