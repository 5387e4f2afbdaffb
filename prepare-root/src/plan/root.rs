//! The new root: the deployment itself, or its image.

use ostree_formats::prepare_root_conf::PrepareRootConf;

use super::composefs::ImageRoot;
use super::error::{PlanError, require_directory};
use super::places::{LOWER, STAGING, TRANSIENT_ROOT};
use super::step::{Access, Step};
use crate::facts::{Caller, Facts, IMAGE};

/// A root that is the deployment directory.
pub(super) fn new_root(facts: &Facts) -> Result<Vec<Step>, PlanError> {
    let deployment = &facts.deployment;
    let path = deployment.path.to_string();
    if facts.caller != Caller::Pid1 {
        return Ok(vec![Step::NewRoot { deployment: path, at: STAGING.to_owned() }]);
    }
    // Nothing can be created on the disk, so the new root is built on the deployment directory itself.
    let at = format!("/{path}");
    let mut steps = vec![Step::NewRoot { deployment: path, at }];
    steps.extend(as_init(facts)?);
    Ok(steps)
}

/// PID 1: what an initramfs would have mounted, and the switch to the new root.
fn as_init(facts: &Facts) -> Result<[Step; 3], PlanError> {
    let deployment = &facts.deployment;
    require_directory("dev", deployment.dev)?;
    require_directory("run", deployment.run)?;
    if !deployment.init {
        return Err(PlanError::NoInit);
    }
    Ok([Step::Dev { mounted: facts.dev_mounted }, Step::AttachRun, Step::PivotRoot])
}

/// A root that is an image, with its directories.
pub(super) fn image_root(conf: &PrepareRootConf, image: &ImageRoot, facts: &Facts) -> Result<Vec<Step>, PlanError> {
    let directory = |path: String, mode| Step::Directory { path, mode };
    let pid1 = facts.caller == Caller::Pid1;
    let deployment = &facts.deployment.path;
    // As PID 1 nothing can be created on the disk, so directories of the deployment are used.
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
