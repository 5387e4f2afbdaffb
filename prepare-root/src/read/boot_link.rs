//! Follows the path that the boot loader requested to a deployment, and never leaves the physical root.

use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::deployment::Deployment;
use super::physical_root::PhysicalRoot;

/// Why the path does not lead to a deployment. Paths are as seen on the physical root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("there is no boot link {0}")]
    Missing(String),
    #[error("{path} must be a symbolic link to a deployment, but is {found}")]
    NotALink { path: String, found: &'static str },
    #[error("the boot link {path} leads to {target}, which does not exist")]
    Dangling { path: String, target: String },
    #[error("the boot link {0} is part of a loop of symbolic links")]
    Loop(String),
    #[error("the boot link {path} leads to {target}, which is not a directory")]
    NotADirectory { path: String, target: String },
    #[error(
        "the boot link {path} leads to {end}, which is not a deployment (/ostree/deploy/STATEROOT/deploy/CHECKSUM.SERIAL)"
    )]
    NotADeployment { path: String, end: String },
    #[error("{path} cannot be looked up: {reason}")]
    Other { path: String, reason: Errno },
}

/// Follows a boot link.
pub(crate) fn follow(physical: &PhysicalRoot, path: &str) -> Result<Deployment, LookupError> {
    // With a slash at the end the kernel would follow the link itself.
    let path = Some(path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or("/");
    let directory = dir::open_directory(physical, path).map_err(|reason| explain(physical, path, reason))?;
    let end =
        physical.path_inside(&directory).map_err(|reason| LookupError::Other { path: path.to_owned(), reason })?;
    // If the names at both ends differ, the last component was a link.
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    if name(&end) == name(path) || matches!(name(path).as_deref(), Some("." | "..")) {
        require_link(physical, path)?;
    }
    match end.parse() {
        Ok(path) => Ok(Deployment { path, directory, image: None }),
        Err(_) => Err(LookupError::NotADeployment { path: path.to_owned(), end: format!("/{end}") }),
    }
}

/// Why following `path` failed.
fn explain(physical: &PhysicalRoot, path: &str, reason: Errno) -> LookupError {
    let link = match require_link(physical, path) {
        Ok(link) => link,
        Err(error) => return error,
    };
    let path = path.to_owned();
    let target = match dir::read_link(&link, "") {
        Ok(target) => target,
        Err(reason) => return LookupError::Other { path, reason },
    };
    match reason {
        Errno::NOENT => LookupError::Dangling { path, target },
        Errno::NOTDIR => LookupError::NotADirectory { path, target },
        Errno::LOOP => LookupError::Loop(path),
        reason => LookupError::Other { path, reason },
    }
}

/// Opens the link at the end of `path`, which must be one.
fn require_link(physical: &PhysicalRoot, path: &str) -> Result<OwnedFd, LookupError> {
    let owned = || path.to_owned();
    let other = |reason| LookupError::Other { path: owned(), reason };
    let link = match dir::open(physical, path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(link) => link,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(LookupError::Missing(owned())),
        Err(Errno::LOOP) => return Err(LookupError::Loop(owned())),
        Err(reason) => return Err(other(reason)),
    };
    let not_a_link = |found| Err(LookupError::NotALink { path: owned(), found });
    match dir::stat_fd(&link).map_err(other)?.kind {
        Kind::Link => Ok(link),
        Kind::Directory => not_a_link("a directory"),
        Kind::File => not_a_link("a file"),
        Kind::Other => not_a_link("a device, fifo or socket"),
    }
}
