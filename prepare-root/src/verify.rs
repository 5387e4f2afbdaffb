//! `--verify SYSROOT [DEPLOYMENT]`: whether deployments would boot verified, found out before it is tried.
//!
//! Only reads; an image is mounted where nobody else sees it.

mod all_objects;
mod demand;
mod finding;
mod image_objects;
mod judge;
mod object;

use std::path::PathBuf;

use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::deployment::{DeploymentId, DeploymentPath};
use system::proc::Proc;
use system::{Context, dir};

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
    #[error("there is no deployment on it")]
    NoDeployment,
    #[error("there is no deployment {0} on it")]
    NoSuchDeployment(String),
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
        let argument =
            proc.command_line().ok().as_deref().map(KernelCommandLine::new).and_then(|line| line.composefs());
        let demand = Demand::of_this_system(argument)?;
        let physical = PhysicalRoot::open(&run::physical_root_of_running_system(&self.sysroot), proc)?;
        if !physical.has_ostree() {
            return Err(Cause::NotOstree(physical.at.display().to_string()).into());
        }
        let deployments = self.deployments(&physical)?;
        for deployment in deployments {
            let result = judge::judge(&physical, &deployment, &demand, self.keys.as_deref());
            say(&Verdict { deployment, result });
        }
        Ok(())
    }

    fn deployments(&self, physical: &PhysicalRoot) -> Result<Vec<DeploymentPath>, NoVerdict> {
        let all = || {
            let stateroots =
                dir::names(physical, "ostree/deploy").context("list", "/ostree/deploy").map_err(Cause::from)?;
            let of = |stateroot: &String| lookup::deployments_of(physical, stateroot);
            Ok::<_, Cause>(stateroots.iter().flat_map(of).collect::<Vec<_>>())
        };
        let Some(asked) = &self.deployment else {
            return match all()? {
                none if none.is_empty() => Err(NoVerdict::NoDeployment),
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
            return if all.is_empty() { Err(NoVerdict::NoSuchDeployment(asked.clone())) } else { Ok(all) };
        }
        Ok(vec![lookup::follow(physical, asked).map_err(Cause::from)?.path])
    }
}
