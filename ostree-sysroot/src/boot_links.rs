//! The boot links on the physical root: which deployments a boot loader may be led to. Only reads.

use std::os::fd::OwnedFd;

use ostree_formats::deployment::DeploymentPath;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

/// Every deployment that a link below `ostree/boot.0` or `ostree/boot.1` names, whatever its set.
pub fn deployments(sysroot: &OwnedFd) -> Result<Vec<DeploymentPath>, SystemError> {
    let list = |path: &str| match dir::names(sysroot, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other.context("list", format_args!("/sysroot/{path}")),
    };
    let mut found = Vec::new();
    for farm in ["ostree/boot.0", "ostree/boot.1"] {
        for stateroot in list(farm)? {
            for bootcsum in list(&format!("{farm}/{stateroot}"))? {
                let directory = format!("{farm}/{stateroot}/{bootcsum}");
                for serial in list(&directory)? {
                    found.extend(follow(sysroot, &directory, &serial)?);
                }
            }
        }
    }
    Ok(found)
}

/// The deployment that one link names; `None` if it does not exist, or for a file of another kind.
pub(crate) fn follow(sysroot: &OwnedFd, directory: &str, serial: &str) -> Result<Option<DeploymentPath>, SystemError> {
    let target = dir::open_directory(sysroot, directory).and_then(|directory| dir::read_link(directory, serial));
    match target {
        Ok(target) => Ok(target.strip_prefix("../../../").and_then(|rest| format!("ostree/{rest}").parse().ok())),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error).context("read the boot link", format_args!("/sysroot/{directory}/{serial}")),
    }
}
