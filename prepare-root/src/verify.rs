//! `--verify SYSROOT [DEPLOYMENT]`: whether deployments would boot verified, found out before it is tried.
//!
//! Only reads; an image is mounted where nobody else sees it.

mod all_objects;
mod content;
mod demand;
mod finding;
pub(crate) mod image_objects;
mod judge;
mod object;

use std::path::PathBuf;

use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::deployment::{DeploymentId, DeploymentPath, Stateroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::proc::Proc;
use system::{Context, tree};

use crate::failure::Cause;
use crate::lookup;
use crate::physical_root::PhysicalRoot;
use crate::run;
use demand::Demand;

pub(crate) use finding::{Finding, Verdict};

/// Where objects are, on the physical root.
const OBJECTS: &str = "ostree/repo/objects/";

/// What is to be verified, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) sysroot: PathBuf,
    /// As somebody types it; `None`: all.
    pub(crate) deployment: Option<String>,
    /// Absolute path of a file of trusted keys, in place of the configured one.
    pub(crate) keys: Option<String>,
}

/// What stands in the way of any verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoVerdict {
    #[error("there is no deployment on the physical root at {0}")]
    NoDeployment(String),
    #[error("there is no deployment {asked} on the physical root at {at}")]
    NoSuchDeployment { asked: String, at: String },
    #[error("{0}")]
    Cause(#[from] Cause),
}

impl Request {
    /// Judges one deployment after the other, and gives each verdict to `say`.
    ///
    /// # Errors
    /// What stands in the way of any verdict.
    pub(crate) fn verify(&self, mut say: impl FnMut(&Verdict)) -> Result<(), NoVerdict> {
        let proc = Proc::open().map_err(Cause::from)?;
        let argument = KernelCommandLine::new(proc.command_line().map_err(Cause::from)?).composefs();
        let demand = Demand::of_this_system(argument, self.keys.clone())?;
        let physical = PhysicalRoot::open(&run::physical_root_of_running_system(&self.sysroot)?, proc)?;
        if !physical.has_ostree().map_err(Cause::from)? {
            return Err(Cause::NotOstree(physical.at.display().to_string()).into());
        }
        let deployments = self.deployments(&physical)?;
        for deployment in deployments {
            let result = judge::judge(&physical, &deployment, &demand);
            say(&Verdict { deployment, result });
        }
        Ok(())
    }

    fn deployments(&self, physical: &PhysicalRoot) -> Result<Vec<DeploymentPath>, NoVerdict> {
        let all = || all_deployments(physical);
        let at = || physical.at.display().to_string();
        let Some(asked) = &self.deployment else {
            return match all()? {
                none if none.is_empty() => Err(NoVerdict::NoDeployment(at())),
                all => Ok(all),
            };
        };
        if let Ok(path) = asked.trim_start_matches('/').parse() {
            return Ok(vec![path]);
        }
        let id = asked.parse::<DeploymentId>();
        if let (Ok(id), false) = (id, asked.contains('/')) {
            let mut all = all()?;
            all.retain(|path| path.id == id);
            if all.is_empty() {
                return Err(NoVerdict::NoSuchDeployment { asked: asked.clone(), at: at() });
            }
            return Ok(all);
        }
        Ok(vec![lookup::follow(physical, asked).map_err(Cause::from)?.path])
    }
}

/// Those of all stateroots. One that cannot be listed is an error, since its deployments would be passed over; one in which nothing
/// was deployed yet has no directory for it.
fn all_deployments(physical: &PhysicalRoot) -> Result<Vec<DeploymentPath>, NoVerdict> {
    let list = |path: &str| match dir::open(physical, path, OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => Ok(Vec::new()),
        directory => directory.and_then(tree::entries).context("list", format_args!("/{path}")).map_err(Cause::from),
    };
    let mut deployments = Vec::new();
    // As with libostree links are none.
    for (name, _) in list("ostree/deploy")?.into_iter().filter(|(_, kind)| *kind == Kind::Directory) {
        let Some(stateroot) = String::from_utf8(name).ok().and_then(|name| name.parse::<Stateroot>().ok()) else {
            continue;
        };
        for (name, _) in list(&format!("ostree/deploy/{stateroot}/deploy"))? {
            if let Some(id) = String::from_utf8(name).ok().and_then(|name| name.parse::<DeploymentId>().ok()) {
                deployments.push(DeploymentPath { stateroot: stateroot.clone(), id });
            }
        }
    }
    Ok(deployments)
}
