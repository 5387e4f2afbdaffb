//! Finds the deployment that the boot loader requested.

use ostree_formats::bootlink::{Bootlink, by_text};
use ostree_formats::cmdline::BootTarget;
use ostree_sysroot::boot_links::LookupError;
use system::{Context, dir};

use crate::failed::cause::Cause;
use crate::plan::recovery::{self, NoRecovery, Recovery};
use crate::read::candidates::candidates;
use crate::read::deployment::Deployment;
use crate::read::physical_root::PhysicalRoot;

/// What was found.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) deployment: Deployment,
    /// The argument that names it.
    pub(crate) asked_for: BootTarget,
    /// The boot link is missing.
    pub(crate) recovery: Option<Recovery>,
    /// Another argument came first, but names nothing.
    pub(crate) warning: Option<String>,
}

/// Finds the deployment of `asked_for`. If this is an Android slot without a link, `otherwise`, the value of `ostree=`, is used.
pub(crate) fn find(
    physical: &PhysicalRoot,
    asked_for: BootTarget,
    otherwise: Option<BootTarget>,
    may_recover: bool,
) -> Result<Target, Cause> {
    let error = match find_one(physical, &asked_for, may_recover) {
        Ok((deployment, recovery)) => return Ok(Target { deployment, asked_for, recovery, warning: None }),
        Err(error) => error,
    };
    let no_link = matches!(&error, Cause::Lookup(LookupError::Missing(path)) if *path == asked_for.path);
    let Some(otherwise) = otherwise.filter(|_| no_link && asked_for.source.is_a_slot()) else {
        return Err(error);
    };
    // Report the error of the slot, even if ostree= is wrong, too.
    let Ok((deployment, recovery)) = find_one(physical, &otherwise, may_recover) else { return Err(error) };
    let warning = format!(
        "{} requests {}, which does not exist; booting the deployment of {}",
        asked_for.argument, asked_for.path, otherwise.argument
    );
    Ok(Target { deployment, asked_for: otherwise, recovery, warning: Some(warning) })
}

/// Follows the link. If a boot link is missing, looks for the deployment that it must have meant.
fn find_one(
    physical: &PhysicalRoot,
    asked_for: &BootTarget,
    may_recover: bool,
) -> Result<(Deployment, Option<Recovery>), Cause> {
    let error = match physical.follow(&asked_for.path) {
        Ok(found) => return Ok((found.into(), None)),
        Err(LookupError::Missing(_)) if !physical.has_ostree()? => {
            return Err(Cause::NotOstree(physical.at.display().to_string()));
        }
        Err(error) => error,
    };
    let Some(link) = missing_boot_link(physical, asked_for, &error).filter(|_| may_recover) else {
        return Err(error.into());
    };
    let missing = format!("/{link}");
    let candidates = candidates(physical, &link)?;
    match recovery::choose(&candidates) {
        Ok(recovery) => {
            let path = recovery.deployment.clone();
            let directory = dir::open_directory(physical, path.to_string()).context("open", format_args!("/{path}"))?;
            let of_slot = asked_for.source.is_a_slot();
            let recovery = if of_slot { recovery.with_slot(&asked_for.path) } else { recovery };
            Ok((Deployment { path, directory, image: None }, Some(recovery)))
        }
        Err(NoRecovery::NoKernel) => Err(error.into()),
        Err(NoRecovery::Unknown(candidate, reason)) => Err(Cause::Unknown { missing, candidate, reason }),
        Err(NoRecovery::Ambiguous(candidates)) => Err(Cause::Ambiguous { missing, candidates }),
    }
}

/// The missing boot link: the requested one, or the one that the link of a slot leads to.
fn missing_boot_link(physical: &PhysicalRoot, asked_for: &BootTarget, error: &LookupError) -> Option<Bootlink> {
    match error {
        LookupError::Missing(_) => asked_for.path.parse().ok(),
        LookupError::Dangling { path, target } if asked_for.source.is_a_slot() => {
            let link = by_text(path, target).parse().ok()?;
            let followed = physical.follow(&format!("/{link}"));
            matches!(followed, Err(LookupError::Missing(_))).then_some(link)
        }
        _ => None,
    }
}
