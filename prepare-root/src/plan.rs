//! Configuration, kernel command line and facts in; the list of steps out. Pure: nothing is looked up here.
//!
//! The order of the steps, and what makes it safe to be killed between any two of them:
//!
//! 1. In `/run` only: the directories. Anything left there does no harm to a second run.
//! 2. The new root is put together at a place of its own, beside the physical root, which stays where it is.
//! 3. One exchange at the end: the physical root leaves, the new root comes. A second run that finds itself between these
//!    two finds the physical root inside the new one ([`crate::interrupted`]).

mod init;

use ostree_formats::booted_state::{BootedState, ComposefsState};
use ostree_formats::cmdline::BootTarget;
use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use serde::Serialize;

use crate::composefs::{self, AtBootMenu, ComposefsError, Decision, IMAGE, ImageRoot};
use crate::facts::{DeploymentFacts, Facts, Found, Situation};
use crate::physical_root::REPO_CONFIG;
use crate::recovery::{self, Recovery};
use crate::step::{Access, Place, Step, Upper};

/// Where the new root is put together in an initramfs: a directory that has to exist anyway, on a filesystem that is
/// writable. Nobody can look into it (mode 0000).
pub(crate) const STAGING: &str = "/run/ostree/.private";

/// Where the image is mounted while the kernel takes it as a layer, and where libostree does that as well.
pub(crate) const LOWER: &str = "/run/ostree/.private/cfsroot-lower";

/// What is written to a transient root. Nobody can look into the directory above, so the modes are those that are seen in `/`.
const TRANSIENT_ROOT: &str = "/run/ostree/.private/root";

/// Stands for the random name of the directory that `etc.transient` makes.
pub(crate) const TRANSIENT_ETC: &str = "/run/ostree/transient-etc.XXXXXX";

/// What will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MountPlan {
    pub(crate) situation: Situation,
    pub(crate) asked_for: BootTarget,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) warnings: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// For the report, should the image turn out to be unusable.
    #[serde(skip)]
    pub(crate) at_boot_menu: AtBootMenu,
}

/// Why there can be no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error(transparent)]
    Composefs(#[from] ComposefsError),
    #[error("the deployment has no directory {name}: {found} is there")]
    Incomplete { name: &'static str, found: &'static str },
    #[error("the stateroot has no directory var: {0} is there")]
    NoStaterootVar(&'static str),
    #[error(
        "the deployment has .usr-ovl-work, so a hotfix of /usr was begun, but no directory .usr-ovl-upper with its files"
    )]
    HotfixWithoutUpper,
    #[error("the deployment has .usr-ovl-work, which is not a directory")]
    HotfixWork,
    #[error("the deployment has no /sbin/init to execute")]
    NoInit,
}

/// What the boot loader asked for, and what that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) asked_for: BootTarget,
    pub(crate) recovery: Option<Recovery>,
    /// `init=`.
    pub(crate) init: Option<String>,
    /// What should be said of the argument that decided.
    pub(crate) warning: Option<String>,
}

/// Makes the plan.
pub(crate) fn plan(
    conf: &PrepareRootConf,
    composefs: Decision,
    resolved: Resolved,
    facts: &Facts,
) -> Result<MountPlan, PlanError> {
    let (image, unsealed) = composefs::image_root(conf, &composefs, facts)?;
    // Where seals are demanded, an image without them is less.
    let enough = if composefs.verity { ComposefsMode::Yes } else { ComposefsMode::No };
    let at_boot_menu = composefs::at_boot_menu(conf, &composefs, enough);
    let deployment = &facts.deployment;
    require_parts(deployment)?;

    let pid1 = facts.situation == Situation::Pid1;
    let mount_var = facts.situation != Situation::Systemd || facts.var_marker || !facts.var_mounted_later;
    let sysroot_ro = sysroot_readonly(conf, composefs.mode, facts);
    let mut warnings: Vec<String> = composefs.warning.into_iter().chain(unsealed).collect();
    warnings.extend(resolved.warning);
    warnings.extend(facts.repo_problem.as_ref().map(|problem| {
        format!(
            "/{REPO_CONFIG}: {problem}; /sysroot is writable, whatever [sysroot] readonly says there: correct the file"
        )
    }));
    warnings.extend(lost_at_reboot(conf));
    warnings.extend(resolved.recovery.as_ref().map(recovery::warning));

    let mut steps = vec![announce(deployment)];
    if pid1 {
        steps.push(Step::NewRun);
    }
    steps.extend([
        Step::Directory { path: "/run/ostree".to_owned(), mode: 0o755 },
        Step::Directory { path: STAGING.to_owned(), mode: 0 },
    ]);
    match &image {
        Some(image) => steps.extend(image_root(conf, image, facts)?),
        None => {
            steps.push(Step::MakePrivate);
            steps.extend(new_root(facts)?);
        }
    }
    steps.extend(boot(conf, sysroot_ro, facts));
    steps.extend(etc(conf, sysroot_ro || image.is_some(), facts)?);
    steps.extend(usr(image.as_ref(), facts, &mut warnings)?);
    steps.extend(sysroot(pid1, sysroot_ro));
    steps.extend(var(mount_var, sysroot_ro, facts, &mut warnings)?);
    let sealed = image.as_ref().is_some_and(|image| image.verity);
    steps.push(init::require(facts.situation, resolved.init, sealed));
    steps.extend(resolved.recovery.as_ref().map(|r| Step::RecoveryRecord { text: recovery::record(r) }));
    steps.push(Step::BootedState(BootedState {
        device: deployment.device,
        inode: deployment.inode,
        root_transient: conf.root_transient,
        root_transient_ro: conf.root_transient_ro,
        composefs: image.map(|image| ComposefsState { verity: image.verity, signed_by: image.signed_by }),
        sysroot_ro,
        transient_etc: conf.etc_transient.then(|| TRANSIENT_ETC.to_owned()),
    }));
    steps.push(if pid1 {
        Step::Exec { init: init::INIT }
    } else {
        Step::MoveIntoPlace { sysroot: facts.sysroot.clone(), writable: !facts.sysroot_read_only }
    });
    Ok(MountPlan {
        situation: facts.situation,
        asked_for: resolved.asked_for,
        recovery: resolved.recovery,
        warnings,
        steps,
        at_boot_menu,
    })
}

/// ostree-prepare-root(1): said in the configuration, else true with composefs; and whenever that gives false without
/// composefs, the old place on the disk is asked as well.
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

fn require_directory(name: &'static str, found: Found) -> Result<(), PlanError> {
    if found == Found::Directory { Ok(()) } else { Err(PlanError::Incomplete { name, found: found.describe() }) }
}

fn announce(deployment: &DeploymentFacts) -> Step {
    Step::Announce { path: deployment.path.to_string(), device: deployment.device, inode: deployment.inode }
}

fn bind(source: Place, target: impl Into<String>, access: Access) -> Step {
    Step::Bind { source, target: target.into(), access, slave_and_shared: false }
}

fn physical(path: impl Into<String>) -> Place {
    Place::Physical(path.into())
}

fn new_root(facts: &Facts) -> Result<Vec<Step>, PlanError> {
    let deployment = &facts.deployment;
    let path = deployment.path.to_string();
    if facts.situation != Situation::Pid1 {
        return Ok(vec![Step::NewRoot { deployment: path, at: STAGING.to_owned() }]);
    }
    // Nothing can be created on the disk, so the deployment's own directory is where its new root is put together.
    let at = format!("/{path}");
    let mut steps = vec![Step::NewRoot { deployment: path, at }];
    steps.extend(as_init(facts)?);
    Ok(steps)
}

/// PID 1: what else the initramfs would have brought, and that the new root is `/`.
fn as_init(facts: &Facts) -> Result<[Step; 3], PlanError> {
    let deployment = &facts.deployment;
    require_directory("dev", deployment.dev)?;
    require_directory("run", deployment.run)?;
    if !deployment.init {
        return Err(PlanError::NoInit);
    }
    Ok([Step::Dev { mounted: facts.dev_mounted }, Step::AttachRun, Step::PivotRoot])
}

/// A root that is an image, and what belongs to it.
fn image_root(conf: &PrepareRootConf, image: &ImageRoot, facts: &Facts) -> Result<Vec<Step>, PlanError> {
    let directory = |path: String, mode| Step::Directory { path, mode };
    let pid1 = facts.situation == Situation::Pid1;
    let deployment = &facts.deployment.path;
    // As PID 1 nothing can be created on the disk: directories of the deployment stand in.
    let (at, lower) = if pid1 {
        (format!("/{deployment}"), format!("/{deployment}/sysroot"))
    } else {
        (STAGING.to_owned(), LOWER.to_owned())
    };
    let mut steps = Vec::new();
    if !pid1 {
        steps.push(directory(LOWER.to_owned(), 0o700));
    }
    let transient = conf.root_transient || conf.root_transient_ro;
    if transient {
        steps.extend([
            directory(TRANSIENT_ROOT.to_owned(), 0o755),
            directory(format!("{TRANSIENT_ROOT}/upper"), 0o755),
            directory(format!("{TRANSIENT_ROOT}/work"), 0o700),
        ]);
    }
    steps.push(Step::MakePrivate);
    if pid1 {
        require_directory("run", facts.deployment.run)?;
        if transient {
            steps.push(Step::LendRun { at: format!("/{deployment}/run") });
        }
    }
    steps.push(Step::ImageRoot {
        image: format!("{deployment}/{IMAGE}"),
        at,
        lower,
        by_path: pid1.then(|| format!("/{deployment}/{IMAGE}")),
        transient: transient.then_some(TRANSIENT_ROOT),
        verity: image.verity,
        access: if conf.root_transient { Access::Inherited } else { Access::ReadOnly },
    });
    steps.extend(facts.disk.map(|device| Step::VolatileRoot { device }));
    if pid1 {
        steps.extend(as_init(facts)?);
    }
    Ok(steps)
}

/// Nobody is to find out by losing something.
fn lost_at_reboot(conf: &PrepareRootConf) -> Option<String> {
    let what = match (conf.root_transient, conf.etc_transient) {
        (true, true) => "to / and /etc",
        (true, false) => "to /",
        (false, true) => "to /etc",
        (false, false) => return None,
    };
    Some(format!("what is written {what} is lost at the next boot: prepare-root.conf makes that transient"))
}

/// Made from the physical root before that becomes read-only below `/sysroot`, so it is writable when the disk is. Where nothing
/// says which libostree the tree has, it is as the generator of newer ones would mount it, which finds it mounted: like `/sysroot`.
fn boot(conf: &PrepareRootConf, sysroot_ro: bool, facts: &Facts) -> Option<Step> {
    let with_systemd = facts.situation == Situation::Systemd;
    let wanted = conf.boot_mount.unwrap_or(true) || !with_systemd;
    let possible = facts.boot_loader_link && facts.deployment.boot == Found::Directory;
    let like_sysroot = conf.boot_mount.is_none() && with_systemd && sysroot_ro;
    let access = if like_sysroot { Access::ReadOnly } else { Access::Inherited };
    (wanted && possible).then(|| bind(physical("boot"), "boot", access))
}

/// Left alone where the whole root stays writable.
fn etc(conf: &PrepareRootConf, root_ro: bool, facts: &Facts) -> Result<Vec<Step>, PlanError> {
    if conf.etc_transient {
        require_directory("usr/etc", facts.deployment.usr_etc)?;
        let overlay = Step::Overlay {
            target: "etc".to_owned(),
            lower: vec![Place::Deployment("usr/etc")],
            upper: Some(Upper { upper: Place::TransientEtc("upper"), work: Place::TransientEtc("work") }),
            access: Access::Inherited,
        };
        return Ok(vec![Step::TransientEtcDirectory, overlay]);
    }
    let access = writable(facts, false);
    Ok(root_ro.then(|| bind(Place::Deployment("etc"), "etc", access)).into_iter().collect())
}

/// A copy of the physical root's mount that is to be writable: nothing to do where that mount is.
fn writable(facts: &Facts, made_read_only: bool) -> Access {
    if facts.sysroot_read_only || made_read_only { Access::Writable } else { Access::Inherited }
}

/// With an image it is part of the root, and read-only as that is.
fn usr(image: Option<&ImageRoot>, facts: &Facts, warnings: &mut Vec<String>) -> Result<Option<Step>, PlanError> {
    let deployment = &facts.deployment;
    let usr = Place::Deployment("usr");
    if deployment.hotfix_work == Found::Nothing {
        return Ok(image.is_none().then(|| bind(usr, "usr", Access::ReadOnly)));
    }
    if image.is_some_and(|image| image.signed_by.is_some()) {
        warnings.push(
            "the deployment has .usr-ovl-work, a hotfix of /usr: it is not used, nobody has signed for what is in it"
                .to_owned(),
        );
        return Ok(None);
    }
    match (deployment.hotfix_work, deployment.hotfix_upper) {
        (Found::Directory, Found::Directory) => {}
        (Found::Directory, _) => return Err(PlanError::HotfixWithoutUpper),
        _ => return Err(PlanError::HotfixWork),
    }
    // In an image there is nothing beside the tree.
    let beside = |name| match image {
        Some(_) => physical(format!("{}/{name}", deployment.path)),
        None => Place::Deployment(name),
    };
    let (upper, work) = (beside(".usr-ovl-upper"), beside(".usr-ovl-work"));
    let target = "usr".to_owned();
    Ok(Some(if facts.sysroot_read_only {
        // The kernel refuses an upper layer on a read-only disk; the hotfix is still what the administrator wants to run.
        Step::Overlay { target, lower: vec![upper, usr], upper: None, access: Access::ReadOnly }
    } else {
        Step::Overlay { target, lower: vec![usr], upper: Some(Upper { upper, work }), access: Access::Inherited }
    }))
}

/// As PID 1 the physical root is at `/sysroot` by pivot_root already.
fn sysroot(pid1: bool, sysroot_ro: bool) -> Option<Step> {
    match (pid1, sysroot_ro) {
        (false, true) => Some(bind(physical(""), "sysroot", Access::ReadOnly)),
        (false, false) => Some(bind(physical(""), "sysroot", Access::Inherited)),
        (true, true) => Some(Step::SysrootReadOnly),
        (true, false) => None,
    }
}

/// With a read-only `/sysroot` the stateroot's `var` is bound over itself, writable. `/var` itself is only mounted where
/// nobody does it later.
fn var(mount_var: bool, sysroot_ro: bool, facts: &Facts, warnings: &mut Vec<String>) -> Result<Vec<Step>, PlanError> {
    let source = facts.deployment.path.stateroot_var();
    if facts.stateroot_var != Found::Directory {
        if mount_var || sysroot_ro {
            return Err(PlanError::NoStaterootVar(facts.stateroot_var.describe()));
        }
        warnings.push(format!("/{source} is missing: /var of this system cannot be mounted"));
    }
    // As PID 1 it is the mount of the physical root itself that became read-only, elsewhere a copy of it.
    let access = writable(facts, sysroot_ro && facts.situation == Situation::Pid1);
    let mut steps = Vec::new();
    if sysroot_ro {
        steps.push(bind(physical(source.clone()), format!("sysroot/{source}"), access));
    }
    match facts.deployment.var {
        Found::Directory if mount_var => steps.push(Step::Bind {
            source: physical(source),
            target: "var".to_owned(),
            access: if sysroot_ro { access } else { Access::Inherited },
            slave_and_shared: true,
        }),
        Found::Directory => {}
        found if mount_var => return Err(PlanError::Incomplete { name: "var", found: found.describe() }),
        _ => warnings.push("the deployment has no directory var: /var of this system cannot be mounted".to_owned()),
    }
    Ok(steps)
}

#[cfg(test)]
mod tests;
