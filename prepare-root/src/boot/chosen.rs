//! Finds the deployment that a person has chosen: `firstroot.deployment=` or `--deployment`. No boot link is needed.

use ostree_formats::cmdline::{BootTarget, TargetError, TargetSource};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_links::Followed;
use system::{Context, dir};

use super::target::Target;
use crate::facts::ListedDeployment;
use crate::failed::cause::Cause;
use crate::plan::choice::{Choice, choose};
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
    let Followed { path, directory } = open(physical, choice, asked_for)?;
    let warning = warning(physical, choice, asked_for, &path);
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
    let deployments = deployments::list(physical);
    let ListedDeployment { path, .. } = choose(&deployments, &scope, &choice.word)
        .map_err(|error| Cause::Choice { argument: choice.argument.clone(), error })?;
    let directory = dir::open_directory(physical, path.to_string()).context("open", format_args!("/{path}"))?;
    Ok(Followed { path: path.clone(), directory })
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
