//! The list of deployments that boots: the current bootversion, its boot loader entries, and what they lead to.

use std::os::fd::AsFd;

use ostree_formats::bootlink::BootVersion;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config::RepoConfig;
use ostree_formats::version_order::strverscmp;
use rustix::io::Errno;
use system::{Context, dir};

use crate::booted::{Identity, booted_identity, next_root};
use crate::deployment::{Deployment, identity};
use crate::error::SysrootError;
use crate::foreign_file::ForeignFile;
use crate::loader_entries::{self, LoaderEntries};
use crate::roots::{Roots, read_if_there};

const CONFIG_LIMIT: u64 = 1 << 20;

/// The sysroot as it is.
#[derive(Debug)]
pub struct Sysroot {
    /// Of `boot/loader` and `ostree/boot.N`.
    pub bootversion: BootVersion,
    /// Of `ostree/boot.N.S`.
    pub subbootversion: BootVersion,
    /// In the order of the menu, the default first.
    pub deployments: Vec<Deployment>,
    /// Which of them runs.
    pub booted: DeploymentPath,
    /// What others put into `loader.N`.
    pub foreign: Vec<ForeignFile>,
    /// The repository's configuration.
    pub config: RepoConfig,
    /// Whether an entry leads nowhere: what it is about is in no list, and may be there all the same.
    pub is_incomplete: bool,
    /// The deployment that a prepared soft reboot has mounted, if there is one.
    pub next_root: Option<Identity>,
    /// What was passed over.
    pub warnings: Vec<String>,
}

impl Sysroot {
    /// Reads all of it.
    ///
    /// # Errors
    /// What cannot be read, and a layout that is damaged or unknown.
    pub fn load(roots: &Roots) -> Result<Self, SysrootError> {
        let config = repo_config(roots)?;
        let bootversion = match version_link(&roots.boot, "loader", "/boot/loader", "loader") {
            Err(SysrootError::VersionLink { .. }) if roots.boot_is_a_bare_mount_point()? => {
                return Err(SysrootError::BootNotMounted);
            }
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
        let booted =
            booted.ok_or_else(|| SysrootError::BootedNotListed { links: format!("ostree/boot.{bootversion}") })?;
        let next_root = next_root(roots)?;
        Ok(Self {
            bootversion,
            subbootversion,
            deployments,
            booted,
            foreign,
            config,
            is_incomplete,
            next_root,
            warnings,
        })
    }

    /// The deployment at a path, if it is in the list.
    pub fn find(&self, path: &DeploymentPath) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.path == *path)
    }

    /// In one line what is in the list, to see later whether it has changed.
    pub fn fingerprint(&self) -> String {
        let paths: Vec<String> = self.deployments.iter().map(|deployment| deployment.path.to_string()).collect();
        format!("{}.{} {}", self.bootversion, self.subbootversion, paths.join(" "))
    }
}

/// The repository's configuration; one that is not there is empty.
///
/// # Errors
/// It cannot be read, or has a value that is none.
pub fn repo_config(roots: &Roots) -> Result<RepoConfig, SysrootError> {
    let config = read_if_there(&roots.sysroot, &"", "ostree/repo/config", CONFIG_LIMIT)?;
    Ok(RepoConfig::parse(&config.unwrap_or_default())?)
}

/// The deployments that a [`Sysroot::fingerprint`] names.
pub fn deployments_in(fingerprint: &str) -> Vec<DeploymentPath> {
    fingerprint.split(' ').filter_map(|path| path.parse().ok()).collect()
}

/// Which of the deployments runs.
fn find_booted(roots: &Roots, deployments: &[Deployment]) -> Result<Option<DeploymentPath>, SysrootError> {
    let booted = booted_identity(roots)?;
    for deployment in deployments {
        if identity(roots, &deployment.path)? == Some(booted) {
            return Ok(Some(deployment.path.clone()));
        }
    }
    Ok(None)
}

/// A link `path` in `root`, which is `shown`, and whose target is `name.0` or `name.1`.
fn version_link(root: impl AsFd, path: &str, shown: &str, name: &str) -> Result<BootVersion, SysrootError> {
    let (zero, one) = (format!("{name}.0"), format!("{name}.1"));
    let found = match dir::read_link(&root, path) {
        Ok(target) if target == zero => return Ok(BootVersion::Zero),
        Ok(target) if target == one => return Ok(BootVersion::One),
        Ok(target) => format!("leads to {target:?}"),
        // A name of another kind: a layout of a libostree that is not the one from upstream.
        Err(Errno::INVAL) => return Err(SysrootError::UnknownLayout { link: shown.to_owned() }),
        Err(Errno::NOENT) => "does not exist".to_owned(),
        Err(error) => return Err(error).context("read the link", shown)?,
    };
    Err(SysrootError::VersionLink { link: shown.to_owned(), found, wanted: format!("{zero} or {one}") })
}
