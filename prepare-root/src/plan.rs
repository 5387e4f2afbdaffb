//! Makes the list of steps from configuration, kernel command line and facts. Pure: nothing is looked up here.
//!
//! The order of the steps, and what makes it safe to be killed between any two of them:
//!
//! 1. Directories in `/run`. What is left of them does no harm to a second run.
//! 2. The new root is built at a separate place. The physical root stays where it is.
//! 3. At the end the new root replaces the physical root. A run that is killed between these two mounts leaves the physical
//!    root inside the new one, where the next run finds it ([`crate::read::mount_state`]).

pub(crate) mod attempts;
pub(crate) mod choice;
pub(crate) mod composefs;
mod error;
mod init;
mod mounts;
pub(crate) mod places;
pub(crate) mod recovery;
mod root;
pub(crate) mod step;

use ostree_formats::boot_attempts::Count;
use ostree_formats::booted_state::{BootedState, ComposefsState};
use ostree_formats::cmdline::BootTarget;
use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use serde::Serialize;

use crate::facts::init::INIT;
use crate::facts::{Caller, DeploymentFacts, Facts, REPO_CONFIG};
use composefs::{AtBootMenu, Decision, ImageRoot};
use error::require_directory;
use recovery::Recovery;
use step::Step;

pub(crate) use error::PlanError;
pub(crate) use places::{LOWER, STAGING};

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MountPlan {
    #[serde(rename = "situation")]
    pub(crate) caller: Caller,
    pub(crate) asked_for: BootTarget,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) warnings: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// For the report, if the image is unusable.
    #[serde(skip)]
    pub(crate) at_boot_menu: AtBootMenu,
}

/// The deployment that the boot loader requested, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) asked_for: BootTarget,
    pub(crate) recovery: Option<Recovery>,
    /// `init=`.
    pub(crate) init: Option<String>,
    /// A warning about the argument that decided.
    pub(crate) warning: Option<String>,
    /// By an option, which a second run does not have.
    pub(crate) by_option: bool,
    /// What is said about attempts; `None`: nothing is counted.
    pub(crate) counting: Option<Counting>,
}

/// Whether this boot is one of a limited number of attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Counting {
    /// `is_counted`: an earlier run in this boot has.
    Attempt {
        count: Count,
        is_counted: bool,
    },
    NoAttempt {
        tries: u32,
    },
}

/// Makes the plan.
pub(crate) fn plan(
    conf: &PrepareRootConf,
    composefs: Decision,
    resolved: Resolved,
    facts: &Facts,
) -> Result<MountPlan, PlanError> {
    let (image, unsealed) = composefs::image_root(conf, &composefs, facts)?;
    // If seals are demanded, a weaker mode is one without them.
    let enough = if composefs.verity { ComposefsMode::Yes } else { ComposefsMode::No };
    let at_boot_menu = composefs::at_boot_menu(conf, &composefs, enough);
    require_parts(&facts.deployment)?;
    let sysroot_ro = sysroot_readonly(conf, composefs.mode, facts);
    let mut warnings: Vec<String> = composefs.warning.into_iter().chain(unsealed).collect();
    warnings.extend(resolved.warning);
    warnings.extend(repository_problem(facts));
    warnings.extend(lost_at_reboot(conf));
    warnings.extend(resolved.recovery.as_ref().map(recovery::warning));

    let mut steps = beginning(facts);
    // An attempt that does not come as far as the next step is one, too.
    steps.extend(resolved.counting.map(count));
    match &image {
        Some(image) => steps.extend(root::image_root(conf, image, facts)?),
        None => {
            steps.push(Step::MakePrivate);
            steps.extend(root::new_root(facts)?);
        }
    }
    steps.extend(in_new_root(conf, image.as_ref(), sysroot_ro, facts, &mut warnings)?);
    let sealed = image.as_ref().is_some_and(|image| image.verity);
    steps.push(init::require(facts.caller, resolved.init, sealed));
    steps.extend(resolved.recovery.as_ref().map(|r| Step::RecoveryRecord { text: recovery::record(r) }));
    if resolved.by_option {
        steps.push(Step::ChoiceRecord { deployment: facts.deployment.path.to_string() });
    }
    steps.push(Step::BootedState(booted_state(conf, image, sysroot_ro, &facts.deployment)));
    steps.push(if facts.caller == Caller::Pid1 {
        Step::Exec { init: INIT }
    } else {
        Step::MoveIntoPlace { sysroot: facts.sysroot.clone(), writable: !facts.sysroot_read_only }
    });
    let Resolved { asked_for, recovery, .. } = resolved;
    Ok(MountPlan { caller: facts.caller, asked_for, recovery, warnings, steps, at_boot_menu })
}

/// What is done in `/run` before anything else.
fn beginning(facts: &Facts) -> Vec<Step> {
    let mut steps = vec![announce(&facts.deployment)];
    if facts.caller == Caller::Pid1 {
        steps.push(Step::NewRun);
    }
    steps.extend([
        Step::Directory { path: "/run/ostree".to_owned(), mode: 0o755 },
        Step::Directory { path: STAGING.to_owned(), mode: 0 },
    ]);
    steps
}

fn count(counting: Counting) -> Step {
    match counting {
        Counting::Attempt { count, is_counted } => Step::Count { count, is_counted },
        Counting::NoAttempt { tries } => Step::NoAttempt { tries },
    }
}

/// What is mounted in the new root, in this order: `/boot` and `/etc` while the physical root is as it was.
fn in_new_root(
    conf: &PrepareRootConf,
    image: Option<&ImageRoot>,
    sysroot_ro: bool,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>, PlanError> {
    let mount_var = !facts.systemd_follows() || facts.var_marker || !facts.var_mounted_later;
    let mut steps = Vec::new();
    steps.extend(mounts::boot(conf, sysroot_ro, facts));
    steps.extend(mounts::etc(conf, sysroot_ro || image.is_some(), facts)?);
    steps.extend(mounts::usr(image, facts, warnings)?);
    steps.extend(mounts::sysroot(facts.caller == Caller::Pid1, sysroot_ro));
    steps.extend(mounts::var(mount_var, sysroot_ro, facts, warnings)?);
    Ok(steps)
}

/// What libostree's programs need to know about the boot.
fn booted_state(
    conf: &PrepareRootConf,
    image: Option<ImageRoot>,
    sysroot_ro: bool,
    deployment: &DeploymentFacts,
) -> BootedState {
    BootedState {
        device: deployment.device,
        inode: deployment.inode,
        root_transient: conf.root_transient,
        root_transient_ro: conf.root_transient_ro,
        composefs: image.map(|image| ComposefsState { verity: image.verity, signed_by: image.signed_by }),
        sysroot_ro,
        transient_etc: conf.etc_transient.then(|| places::TRANSIENT_ETC.to_owned()),
    }
}

fn repository_problem(facts: &Facts) -> Option<String> {
    let problem = facts.repo_problem.as_ref()?;
    Some(format!(
        "/{REPO_CONFIG}: {problem}; [sysroot] readonly in it is ignored and /sysroot is writable: correct the file"
    ))
}

/// As in ostree-prepare-root(1): the value of the configuration, else true with composefs. If this is false and composefs is
/// off, the old setting in `ostree/repo/config` decides.
fn sysroot_readonly(conf: &PrepareRootConf, composefs: ComposefsMode, facts: &Facts) -> bool {
    let with_composefs = composefs > ComposefsMode::Maybe;
    conf.sysroot_readonly.unwrap_or(with_composefs) || (!with_composefs && facts.repo_readonly)
}

fn require_parts(deployment: &DeploymentFacts) -> Result<(), PlanError> {
    for (name, found) in [("usr", deployment.usr), ("etc", deployment.etc), ("sysroot", deployment.sysroot)] {
        require_directory(name, found)?;
    }
    Ok(())
}

fn announce(deployment: &DeploymentFacts) -> Step {
    Step::Announce { path: deployment.path.to_string(), device: deployment.device, inode: deployment.inode }
}

/// Warns before anybody loses data.
fn lost_at_reboot(conf: &PrepareRootConf) -> Option<String> {
    let what = match (conf.root_transient, conf.etc_transient) {
        (true, true) => "/ and /etc",
        (true, false) => "/",
        (false, true) => "/etc",
        (false, false) => return None,
    };
    Some(format!("changes in {what} are lost at the next boot (transient in prepare-root.conf)"))
}

#[cfg(test)]
mod tests;
