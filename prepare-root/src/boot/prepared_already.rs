//! Whether a root that is already prepared is the requested one.

use ostree_sysroot::boot_links::{Followed, LookupError};
use system::proc::Proc;

use super::arguments::Arguments;
use super::chosen;
use crate::failed::cause::Cause;
use crate::read::mount_state::PreparedFor;
use crate::read::physical_root::PhysicalRoot;
use crate::read::running_system::is_recorded;

/// An error if an earlier run has prepared another deployment: a second run must not succeed then.
pub(super) fn require_same(
    physical: &PhysicalRoot,
    prepared: &PreparedFor,
    arguments: &Arguments,
) -> Result<(), Cause> {
    let inside = PhysicalRoot::open(&physical.at.join("sysroot"), Proc::open()?)?;
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

/// The requested deployment. `None`: the command line names none, or the boot link is missing or dangling, and the earlier run has
/// recovered from that.
fn requested(inside: &PhysicalRoot, arguments: &Arguments) -> Result<Option<Followed>, Cause> {
    if let Some(choice) = &arguments.choice {
        return chosen::open(inside, choice, &arguments.asked_for).map(Some);
    }
    let Ok(asked_for) = &arguments.asked_for else { return Ok(None) };
    match inside.follow(&asked_for.path) {
        Ok(asked) => Ok(Some(asked)),
        Err(error @ LookupError::Other { .. }) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
