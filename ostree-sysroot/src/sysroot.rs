//! The active list of deployments: the current bootversion, its boot loader entries, and the deployments that they lead to.

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
    /// The booted one.
    pub booted: DeploymentPath,
    /// Files in `loader.N` that libostree did not write.
    pub foreign: Vec<ForeignFile>,
    /// The repository's configuration.
    pub config: RepoConfig,
    /// An entry leads to no known deployment. What it boots is not in the list, but may exist.
    pub is_incomplete: bool,
    /// The deployment that a prepared soft reboot has mounted, if there is one.
    pub next_root: Option<Identity>,
    /// What was skipped.
    pub warnings: Vec<String>,
}

impl Sysroot {
    /// Reads the sysroot.
    ///
    /// # Errors
    /// A file cannot be read, or the layout is damaged or unknown.
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

    /// The list in one line, to notice later whether it has changed.
    pub fn fingerprint(&self) -> String {
        let paths: Vec<String> = self.deployments.iter().map(|deployment| deployment.path.to_string()).collect();
        format!("{}.{} {}", self.bootversion, self.subbootversion, paths.join(" "))
    }
}

/// The repository's configuration; empty if the file does not exist.
///
/// # Errors
/// It cannot be read, or has an invalid value.
pub fn repo_config(roots: &Roots) -> Result<RepoConfig, SysrootError> {
    let config = read_if_there(&roots.sysroot, &"", "ostree/repo/config", CONFIG_LIMIT)?;
    Ok(RepoConfig::parse(&config.unwrap_or_default())?)
}

/// The deployments that a [`Sysroot::fingerprint`] names.
pub fn deployments_in(fingerprint: &str) -> Vec<DeploymentPath> {
    fingerprint.split(' ').filter_map(|path| path.parse().ok()).collect()
}

/// The booted deployment of the list.
fn find_booted(roots: &Roots, deployments: &[Deployment]) -> Result<Option<DeploymentPath>, SysrootError> {
    let booted = booted_identity(roots)?;
    for deployment in deployments {
        if identity(roots, &deployment.path)? == Some(booted) {
            return Ok(Some(deployment.path.clone()));
        }
    }
    Ok(None)
}

/// Reads the link `path` in `root`, whose target must be `name.0` or `name.1`; messages name it `shown`.
fn version_link(root: impl AsFd, path: &str, shown: &str, name: &str) -> Result<BootVersion, SysrootError> {
    let (zero, one) = (format!("{name}.0"), format!("{name}.1"));
    let found = match dir::read_link(&root, path) {
        Ok(target) if target == zero => return Ok(BootVersion::Zero),
        Ok(target) if target == one => return Ok(BootVersion::One),
        Ok(target) => format!("leads to {target:?}"),
        // Not a link: a layout that upstream's libostree does not make.
        Err(Errno::INVAL) => return Err(SysrootError::UnknownLayout { link: shown.to_owned() }),
        Err(Errno::NOENT) => "does not exist".to_owned(),
        Err(error) => return Err(error).context("read the link", shown)?,
    };
    Err(SysrootError::VersionLink { link: shown.to_owned(), found, wanted: format!("{zero} or {one}") })
}
