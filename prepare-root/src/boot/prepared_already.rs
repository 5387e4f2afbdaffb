//! Whether a root that is already prepared is the requested one.

use ostree_sysroot::boot_links::{Followed, LookupError};
use system::proc::Proc;
use system::{Context, dir};

use super::arguments::Arguments;
use super::chosen;
use crate::failed::cause::Cause;
use crate::read::mount_state::PreparedFor;
use crate::read::physical_root::PhysicalRoot;
use crate::read::running_system::{is_recorded, recorded_choice};

/// An error if an earlier run has prepared another deployment: a second run must not succeed then.
pub(super) fn require_same(
    physical: &PhysicalRoot,
    prepared: &PreparedFor,
    arguments: &Arguments,
) -> Result<(), Cause> {
    let inside = PhysicalRoot::open(&physical.at.join("sysroot"), Proc::open()?)?;
    // The unit that runs again after a person's command follows the boot link, or the mistyped choice, that has failed before.
    let chosen_now = arguments.choice.as_ref().is_some_and(|choice| choice.by_option);
    if !chosen_now && is_chosen(&inside, prepared)? {
        return Ok(());
    }
    let Some(asked) = requested(&inside, arguments)? else { return Ok(()) };
    let is_same = match prepared {
        PreparedFor::Deployment(path) => asked.path == *path,
        PreparedFor::Image => is_recorded(&asked)?,
    };
    if is_same {
        return Ok(());
    }
    Err(Cause::PreparedForAnother {
        sysroot: physical.at.display().to_string(),
        prepared: prepared.to_string(),
        asked: asked.path.to_string(),
    })
}

/// Whether the root is prepared for the deployment that an earlier run was told to use by an option. The record alone proves
/// nothing: the deployment must be mounted, and it was verified before.
fn is_chosen(inside: &PhysicalRoot, prepared: &PreparedFor) -> Result<bool, Cause> {
    let Some(path) = recorded_choice()? else { return Ok(false) };
    match prepared {
        PreparedFor::Deployment(prepared) => Ok(path == *prepared),
        PreparedFor::Image => {
            let directory = dir::if_there(dir::open_directory(inside, path.to_string()));
            let Some(directory) = directory.context("open", format_args!("/{path}"))? else { return Ok(false) };
            Ok(is_recorded(&Followed { path, directory })?)
        }
    }
}

/// The requested deployment. `None`: the command line names none, or one that was removed, or the boot link is missing or dangling, and
/// the earlier run has recovered from that.
fn requested(inside: &PhysicalRoot, arguments: &Arguments) -> Result<Option<Followed>, Cause> {
    if let Some(choice) = &arguments.choice {
        return match chosen::open(inside, choice, &arguments.asked_for) {
            Err(cause) if chosen::is_gone(choice, &cause) => Ok(None),
            other => other.map(Some),
        };
    }
    let Ok(asked_for) = &arguments.asked_for else { return Ok(None) };
    match inside.follow(&asked_for.path) {
        Ok(asked) => Ok(Some(asked)),
        Err(error @ LookupError::Other { .. }) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
