//! `--verify SYSROOT [DEPLOYMENT]`: checks whether deployments would boot verified.
//!
//! Only reads. An image is mounted detached, so no other process sees it.

mod all_objects;
mod content;
mod demand;
mod finding;
pub(crate) mod image_objects;
mod judge;
mod object;

use std::os::fd::AsFd;
use std::path::PathBuf;

use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::deployment::{DeploymentId, DeploymentPath};
use ostree_formats::prepare_root_conf::PrepareRootConf;
use ostree_sysroot::stateroots;
use system::proc::Proc;

use crate::facts::Scope;
use crate::failed::cause::Cause;
use crate::plan::choice::{ChoiceError, choose};
use crate::read::deployments;
use crate::read::physical_root::PhysicalRoot;
use crate::read::running_system::physical_root_of_running_system;
use demand::Demand;

pub(crate) use finding::{Finding, Verdict};
pub(crate) use judge::as_finalized;

/// What to verify, and with which keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VerifyRequest {
    pub(crate) sysroot: PathBuf,
    /// As the user typed it; `None`: all.
    pub(crate) deployment: Option<String>,
    /// Absolute path of a file of trusted keys that replaces the configured one.
    pub(crate) keys: Option<String>,
}

/// Why no deployment could be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoVerdict {
    #[error("there is no deployment on the physical root at {0}")]
    NoDeployment(String),
    #[error("there is no deployment {asked} on the physical root at {at}")]
    NoSuchDeployment { asked: String, at: String },
    #[error("{asked}: {error}")]
    Choice { asked: String, error: ChoiceError },
    #[error("{0}")]
    Cause(#[from] Cause),
}

/// Judges one deployment by the configuration of its initramfs.
pub(crate) fn judge_with(
    physical: &PhysicalRoot,
    deployment: &DeploymentPath,
    conf: &PrepareRootConf,
    argument: Option<&str>,
) -> Result<String, Finding> {
    judge::judge(physical, deployment, &Demand::of(conf.clone(), argument.map(str::to_owned)))
}

impl VerifyRequest {
    /// Checks one deployment after the other, and passes each verdict to `say`.
    ///
    /// # Errors
    /// Why no deployment could be checked.
    pub(crate) fn verify(&self, mut say: impl FnMut(&Verdict)) -> Result<(), NoVerdict> {
        let proc = Proc::open().map_err(Cause::from)?;
        let argument = KernelCommandLine::new(proc.command_line().map_err(Cause::from)?).composefs();
        let demand = Demand::of_this_system(argument, self.keys.clone())?;
        let physical = physical_root_of_running_system(&self.sysroot)
            .and_then(|sysroot| PhysicalRoot::open(&sysroot, proc))
            .map_err(Cause::from)?;
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
        let all = || stateroots::all_deployments(physical.as_fd()).map_err(Cause::from);
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
        if !asked.contains('/') {
            let deployments = deployments::list(physical);
            // Any stateroot: a word that means deployments of several ones is an error, as in a boot.
            let chosen = choose(&deployments, &Scope::Any, asked);
            return chosen
                .map(|chosen| vec![chosen.path.clone()])
                .map_err(|error| NoVerdict::Choice { asked: asked.clone(), error });
        }
        Ok(vec![physical.follow(asked).map_err(Cause::from)?.path])
    }
}
