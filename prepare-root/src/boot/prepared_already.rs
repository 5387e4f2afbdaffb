//! Whether a root that is already prepared is the requested one.

use ostree_formats::cmdline::BootTarget;
use ostree_sysroot::boot_links::LookupError;
use system::proc::Proc;

use crate::failed::cause::Cause;
use crate::read::mount_state::PreparedFor;
use crate::read::physical_root::PhysicalRoot;
use crate::read::running_system::is_recorded;

/// An error if an earlier run has prepared another deployment: a second run must not succeed then.
pub(super) fn require_same(
    physical: &PhysicalRoot,
    prepared: &PreparedFor,
    asked_for: &BootTarget,
) -> Result<(), Cause> {
    let inside = PhysicalRoot::open(&physical.at.join("sysroot"), Proc::open()?)?;
    let asked = match inside.follow(&asked_for.path) {
        Ok(asked) => asked,
        Err(error @ LookupError::Other { .. }) => return Err(error.into()),
        // The boot link is missing or dangling: the earlier run has recovered from that.
        Err(_) => return Ok(()),
    };
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
