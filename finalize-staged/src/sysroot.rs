//! What is on the disk: the current bootversion, its boot loader entries, and the deployments that they lead to. Only reads.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::booted_state::BootedState;
use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config::RepoConfig;
use ostree_formats::version_order::strverscmp;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::cleanup::Current;
use crate::deployment::{Deployment, identity};
use crate::deployment_list::Listed;
use crate::error::Error;
use crate::foreign::{Foreign, NamedInBoot};
use crate::loader_entries::{self, LoaderEntries};
use crate::roots::{Roots, read_if_there};

/// `/run/ostree-booted`, which says what this system was booted from.
const BOOTED: &str = "/run/ostree-booted";

const CONFIG_LIMIT: u64 = 1 << 20;

/// The sysroot before finalization.
#[derive(Debug)]
pub(crate) struct Sysroot {
    /// Of `boot/loader` and `ostree/boot.N`.
    pub(crate) bootversion: BootVersion,
    /// Of `ostree/boot.N.S`.
    pub(crate) subbootversion: BootVersion,
    /// In the order of the menu, the default first.
    pub(crate) deployments: Vec<Deployment>,
    /// Which of them runs.
    pub(crate) booted: DeploymentPath,
    /// What others put into `loader.N`.
    pub(crate) foreign: Vec<Foreign>,
    /// The repository's configuration.
    pub(crate) config: RepoConfig,
    /// Whether new entries are named as before libostree 2024.5, with the stateroot: `bootloader-naming-1` in
    /// `$OSTREE_SYSROOT_OPTS`.
    pub(crate) names_have_stateroot: bool,
    /// Whether an entry leads nowhere: what it is about is in no list, and may be there all the same.
    pub(crate) is_incomplete: bool,
    /// Device and inode of the deployment that a prepared soft reboot has mounted, if there is one.
    next_root: Option<(u64, u64)>,
    /// What was passed over.
    pub(crate) warnings: Vec<String>,
}

impl Sysroot {
    /// Reads all of it.
    pub(crate) fn load(roots: &Roots) -> Result<Self, Error> {
        let config = repo_config(roots)?;
        let bootversion = match version_link(&roots.boot, "loader", "/boot/loader", "loader") {
            Err(Error::VersionLink { .. }) if roots.boot_is_a_bare_mount_point()? => return Err(Error::BootNotMounted),
            other => other?,
        };
        let links = format!("boot.{bootversion}");
        let subbootversion =
            version_link(&roots.sysroot, &format!("ostree/{links}"), &format!("/ostree/{links}"), &links)?;
        let LoaderEntries { mut deployments, foreign, is_incomplete, warnings } =
            loader_entries::read(roots, bootversion)?;
        deployments.sort_by(|one, other| {
            let version = |deployment: &Deployment| deployment.entry.get("version").unwrap_or_default().to_owned();
            strverscmp(&version(other), &version(one))
        });
        let booted = find_booted(roots, &deployments)?;
        let booted = booted.ok_or_else(|| Error::BootedNotListed { links: format!("ostree/boot.{bootversion}") })?;
        let options = std::env::var("OSTREE_SYSROOT_OPTS").unwrap_or_default();
        let names_have_stateroot =
            options.split([',', ';', ':', ' ', '\t']).any(|option| option == "bootloader-naming-1");
        Ok(Self {
            bootversion,
            subbootversion,
            deployments,
            booted,
            foreign,
            config,
            names_have_stateroot,
            is_incomplete,
            next_root: next_root()?,
            warnings,
        })
    }

    /// What is current with this list, which is written for a bootversion and subbootversion.
    pub(crate) fn current(&self, bootversion: BootVersion, subbootversion: BootVersion, list: Vec<Listed>) -> Current {
        let is_listed = |path: &DeploymentPath| list.iter().any(|listed| listed.deployment.path == *path);
        Current {
            bootversion,
            subbootversion,
            named_by_others: NamedInBoot::by(&self.foreign, is_listed),
            list,
            is_incomplete: self.is_incomplete,
            next_root: self.next_root,
        }
    }

    /// The deployment at a path, if it is in the list.
    pub(crate) fn find(&self, path: &DeploymentPath) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.path == *path)
    }

    /// In one line what is in the list, to see later whether it has changed.
    pub(crate) fn fingerprint(&self) -> String {
        let paths: Vec<String> = self.deployments.iter().map(|deployment| deployment.path.to_string()).collect();
        format!("{}.{} {}", self.bootversion, self.subbootversion, paths.join(" "))
    }
}

/// The repository's configuration.
pub(crate) fn repo_config(roots: &Roots) -> Result<RepoConfig, Error> {
    let config = read_if_there(&roots.sysroot, &"", "ostree/repo/config", CONFIG_LIMIT)?;
    Ok(RepoConfig::parse(&config.unwrap_or_default())?)
}

/// The deployments that a [`Sysroot::fingerprint`] names.
pub(crate) fn deployments_in(fingerprint: &str) -> Vec<DeploymentPath> {
    fingerprint.split(' ').filter_map(|path| path.parse().ok()).collect()
}

/// Whether this system was booted from a deployment at all.
pub(crate) fn is_booted() -> Result<bool, SystemError> {
    match rustix::fs::stat(BOOTED) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error).context("look at", BOOTED),
    }
}

/// Device and inode of the deployment that a prepared soft reboot has mounted, if there is one.
fn next_root() -> Result<Option<(u64, u64)>, Error> {
    const NEXT: &str = "/run/ostree/nextroot-booted";
    let root = dir::open_root(Path::new("/")).context("open", "/")?;
    let Some(bytes) = read_if_there(&root, &"", NEXT.trim_start_matches('/'), CONFIG_LIMIT)? else { return Ok(None) };
    match BootedState::from_bytes(&bytes) {
        Ok(state) => Ok(Some((state.device, state.inode))),
        Err(reason) => Err(Error::NextRoot { path: NEXT, reason: reason.to_string() }),
    }
}

/// Which of the deployments runs.
fn find_booted(roots: &Roots, deployments: &[Deployment]) -> Result<Option<DeploymentPath>, Error> {
    let booted = booted_identity()?;
    for deployment in deployments {
        if identity(roots, &deployment.path)? == Some(booted) {
            return Ok(Some(deployment.path.clone()));
        }
    }
    Ok(None)
}

/// When this system was booted, softly or not: seconds and nanoseconds.
pub(crate) fn booted_at() -> Result<(i64, i64), SystemError> {
    let stat = rustix::fs::stat(BOOTED).context("look at", BOOTED)?;
    Ok((stat.st_mtime, stat.st_mtime_nsec as i64))
}

/// Device and inode of the booted deployment's directory.
fn booted_identity() -> Result<(u64, u64), Error> {
    let root = dir::open_root(Path::new("/")).context("open", "/")?;
    match read_if_there(&root, &"", BOOTED.trim_start_matches('/'), CONFIG_LIMIT)?
        .map(|bytes| BootedState::from_bytes(&bytes))
    {
        Some(Ok(state)) => Ok((state.device, state.inode)),
        // Versions of libostree that wrote nothing into it mounted the deployment itself at `/`.
        Some(Err(_)) => {
            let stat = dir::stat_fd(&root).context("look at", "/")?;
            Ok((stat.device, stat.inode))
        }
        None => Err(Error::NotBooted),
    }
}

/// Whether this system was booted from the deployment at `path`.
pub(crate) fn is_the_booted_one(roots: &Roots, path: &DeploymentPath) -> Result<bool, Error> {
    Ok(identity(roots, path)? == Some(booted_identity()?))
}

/// A link `path` in `root`, which is `shown`, and whose target is `name.0` or `name.1`.
fn version_link(root: impl AsFd, path: &str, shown: &str, name: &str) -> Result<BootVersion, Error> {
    let (zero, one) = (format!("{name}.0"), format!("{name}.1"));
    let found = match dir::read_link(&root, path) {
        Ok(target) if target == zero => return Ok(BootVersion::Zero),
        Ok(target) if target == one => return Ok(BootVersion::One),
        Ok(target) => format!("leads to {target:?}"),
        // A name of another kind: a layout of a libostree that is not the one from upstream.
        Err(Errno::INVAL) => return Err(Error::UnknownLayout { link: shown.to_owned() }),
        Err(Errno::NOENT) => "is not there".to_owned(),
        Err(error) => return Err(error).context("read the link", shown)?,
    };
    Err(Error::VersionLink { link: shown.to_owned(), found, wanted: format!("{zero} or {one}") })
}
