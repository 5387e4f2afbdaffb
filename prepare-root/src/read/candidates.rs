//! What could stand in for a boot link that is missing.

use ostree_formats::bootlink::{Bootcsum, Bootlink};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::kernel_layout;
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::boot_link::{LookupError, follow};
use super::deployment::deployments_of;
use super::physical_root::PhysicalRoot;
use crate::facts::Candidates;

/// What could stand in for a boot link that is missing.
///
/// # Errors
/// [`LookupError::Other`]: what there is cannot be told.
pub(crate) fn candidates(physical: &PhysicalRoot, link: &Bootlink) -> Result<Candidates, LookupError> {
    let other = |path: &str, reason| LookupError::Other { path: format!("/{path}"), reason };
    let exists = |directory: String| {
        let opened = dir::if_there(dir::open_directory(physical, &directory));
        opened.map(|opened| opened.is_some()).map_err(|reason| other(&directory, reason))
    };
    let under_other_bootversion = match follow(physical, &link.under_other_bootversion().to_string()) {
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
    let stateroot = link.stateroot.as_str();
    let all = deployments_of(physical, stateroot);
    for path in all.map_err(|reason| other(&format!("ostree/deploy/{stateroot}/deploy"), reason))? {
        match could_be(physical, &path, &link.bootcsum) {
            Ok(true) => candidates.with_that_kernel.push(path),
            Ok(false) => {}
            Err(reason) => candidates.unknown.push((path, reason)),
        }
    }
    Ok(candidates)
}

/// Whether a deployment has that kernel and could be booted: one that is staged only has no `etc` yet.
fn could_be(physical: &PhysicalRoot, path: &DeploymentPath, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    // A file of such a name is none.
    let Some(directory) = dir::if_there(dir::open_directory(physical, path.to_string()))? else { return Ok(false) };
    for part in ["usr", "etc", "sysroot"] {
        if dir::stat_name(&directory, part)?.is_none_or(|stat| stat.kind != Kind::Directory) {
            return Ok(false);
        }
    }
    kernel_layout::has_bootcsum(&directory, bootcsum)
}
