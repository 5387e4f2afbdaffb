//! Finds the deployments that a missing boot link may have meant.

use std::os::fd::AsFd;

use ostree_formats::bootlink::{Bootcsum, Bootlink};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_links::LookupError;
use ostree_sysroot::{kernel_layout, stateroots};
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::physical_root::PhysicalRoot;
use crate::facts::Candidates;

/// Finds them.
///
/// # Errors
/// [`LookupError::Other`]: a directory cannot be read.
pub(crate) fn candidates(physical: &PhysicalRoot, link: &Bootlink) -> Result<Candidates, LookupError> {
    let other = |path: &str, reason| LookupError::Other { path: format!("/{path}"), reason };
    let exists = |directory: String| {
        let opened = dir::if_there(dir::open_directory(physical, &directory));
        opened.map(|opened| opened.is_some()).map_err(|reason| other(&directory, reason))
    };
    let under_other_bootversion = match physical.follow(&link.under_other_bootversion().to_string()) {
        Ok(deployment) => Some(deployment.path),
        Err(error @ LookupError::Other { .. }) => return Err(error),
        Err(_) => None,
    };
    let mut candidates = Candidates {
        link: link.clone(),
        with_that_kernel: Vec::new(),
        unknown: Vec::new(),
        under_other_bootversion,
        set_exists: exists(format!("ostree/boot.{}", link.bootversion))?,
        other_set_exists: exists(format!("ostree/boot.{}", link.bootversion.other()))?,
    };
    let stateroot = &link.stateroot;
    let all = dir::if_there(stateroots::deployments_of(physical.as_fd(), stateroot));
    let all = all.map_err(|reason| other(&format!("ostree/deploy/{stateroot}/deploy"), reason))?;
    for path in all.unwrap_or_default() {
        match could_be(physical, &path, &link.bootcsum) {
            Ok(true) => candidates.with_that_kernel.push(path),
            Ok(false) => {}
            Err(reason) => candidates.unknown.push((path, reason)),
        }
    }
    Ok(candidates)
}

/// Whether a deployment has this kernel and can be booted. A staged deployment has no `etc` yet.
fn could_be(physical: &PhysicalRoot, path: &DeploymentPath, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    // A file with such a name is not a deployment.
    let Some(directory) = dir::if_there(dir::open_directory(physical, path.to_string()))? else { return Ok(false) };
    for part in ["usr", "etc", "sysroot"] {
        if dir::stat_name(&directory, part)?.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(false);
        }
    }
    kernel_layout::has_bootcsum(&directory, bootcsum)
}
