//! The stateroots of a disk, and the deployments in them, whether an entry names them or not. Only reads.
//!
//! All lists are sorted by name. A name is missing only if it did not exist during the whole call; see [`system::tree::entries`].

use std::os::fd::BorrowedFd;

use ostree_formats::deployment::{DeploymentId, DeploymentPath, Stateroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

const STATEROOTS: &str = "ostree/deploy";

/// The names beside stateroots, with their kinds. A stateroot is a directory: libostree ignores links. Through a link, each deployment
/// would have a second path.
///
/// # Errors
/// As `open(2)` and `getdents64(2)`. Without `ostree/deploy` there are no names.
pub fn names(root: BorrowedFd<'_>) -> Result<Vec<(Stateroot, Kind)>, Errno> {
    let found = match dir::open(root, STATEROOTS, OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        directory => directory.and_then(tree::entries)?,
    };
    let stateroot = |name: Vec<u8>| String::from_utf8(name).ok()?.parse().ok();
    Ok(found.into_iter().filter_map(|(name, kind)| Some((stateroot(name)?, kind))).collect())
}

/// The names in the directory `place` of a stateroot: `deploy` or `backing`.
///
/// # Errors
/// As `open(2)` and `getdents64(2)`; `ENOTDIR`: the directory, or the stateroot, is a file. A stateroot without deployments has no
/// directory for them.
pub fn names_in(root: BorrowedFd<'_>, stateroot: &Stateroot, place: &str) -> Result<Vec<String>, Errno> {
    match dir::names(root, format!("{STATEROOTS}/{stateroot}/{place}")) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        names => names,
    }
}

/// The deployments of one stateroot. A name is enough: it may be that of a file.
///
/// # Errors
/// As [`names_in`].
pub fn deployments_of(root: BorrowedFd<'_>, stateroot: &Stateroot) -> Result<Vec<DeploymentPath>, Errno> {
    let names = names_in(root, stateroot, "deploy")?;
    let ids = names.iter().filter_map(|name| name.parse::<DeploymentId>().ok());
    Ok(ids.map(|id| DeploymentPath { stateroot: stateroot.clone(), id }).collect())
}

/// Those of all stateroots.
///
/// # Errors
/// A stateroot cannot be listed: without the error its deployments would be skipped.
pub fn all_deployments(root: BorrowedFd<'_>) -> Result<Vec<DeploymentPath>, SystemError> {
    let mut deployments = Vec::new();
    for (stateroot, kind) in names(root).context("list", format_args!("/{STATEROOTS}"))? {
        if kind != Kind::Directory {
            continue;
        }
        let found = deployments_of(root, &stateroot);
        deployments.extend(found.context("list", format_args!("/{STATEROOTS}/{stateroot}/deploy"))?);
    }
    Ok(deployments)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_deployment_has_one_path_whatever_links_lead_to_its_stateroot() {
        let disk = tempfile::tempdir().unwrap();
        let id = format!("{}.0", "a".repeat(64));
        let deploy = disk.path().join(STATEROOTS);
        let root = dir::open_root(disk.path()).unwrap();
        assert_eq!(all_deployments(root.as_fd()), Ok(Vec::new()));
        fs::create_dir_all(deploy.join("os/deploy").join(&id)).unwrap();
        fs::write(deploy.join("os/deploy").join(format!("{id}.origin")), "").unwrap();
        fs::create_dir_all(deploy.join("empty")).unwrap();
        fs::write(deploy.join("file"), "").unwrap();
        symlink("os", deploy.join("alias")).unwrap();
        let found: Vec<String> = all_deployments(root.as_fd()).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, [format!("{STATEROOTS}/os/deploy/{id}")]);
    }

    #[test]
    fn a_stateroot_that_cannot_be_listed_is_an_error() {
        let disk = tempfile::tempdir().unwrap();
        fs::create_dir_all(disk.path().join(STATEROOTS).join("os")).unwrap();
        symlink("deploy", disk.path().join(STATEROOTS).join("os/deploy")).unwrap();
        let root = dir::open_root(disk.path()).unwrap();
        let error = all_deployments(root.as_fd()).unwrap_err();
        assert_eq!((&*error.object, error.reason), ("/ostree/deploy/os/deploy", Errno::LOOP));
    }
}
