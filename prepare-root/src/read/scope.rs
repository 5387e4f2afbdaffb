//! The stateroot that the boot loader asks for, whether its boot link exists or not.

use ostree_formats::bootlink::{Bootlink, by_text};
use ostree_formats::cmdline::BootTarget;
use ostree_formats::deployment::{DeploymentPath, Stateroot};
use ostree_sysroot::boot_links::LookupError;
use rustix::io::Errno;
use system::dir;

use super::physical_root::PhysicalRoot;
use crate::facts::Scope;

/// Where a deployment may be chosen from. A stateroot that is not on this disk is as good as none.
pub(crate) fn scope(physical: &PhysicalRoot, asked_for: Option<&BootTarget>) -> Result<Scope, LookupError> {
    let named = match asked_for {
        Some(asked_for) => stateroot_of(physical, &asked_for.path)?,
        None => None,
    };
    let Some(named) = named else { return Ok(Scope::OnlyStateroot) };
    let path = format!("ostree/deploy/{named}");
    match dir::open_directory(physical, &path) {
        Ok(_) => Ok(Scope::Stateroot(named)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Scope::OnlyStateroot),
        Err(reason) => Err(LookupError::Other { path: format!("/{path}"), reason }),
    }
}

fn stateroot_of(physical: &PhysicalRoot, path: &str) -> Result<Option<Stateroot>, LookupError> {
    if let Some(named) = named_by(path) {
        return Ok(Some(named));
    }
    match physical.follow(path) {
        Ok(found) => Ok(Some(found.path.stateroot)),
        Err(error @ LookupError::Other { .. }) => Err(error),
        // The link of an Android slot: its text names a deployment, or a boot link.
        Err(LookupError::Dangling { path, target }) => Ok(named_by(&by_text(&path, &target))),
        Err(_) => Ok(None),
    }
}

fn named_by(path: &str) -> Option<Stateroot> {
    let of_link = path.parse().map(|link: Bootlink| link.stateroot);
    of_link.or_else(|_| path.parse().map(|path: DeploymentPath| path.stateroot)).ok()
}
