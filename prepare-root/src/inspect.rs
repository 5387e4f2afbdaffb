//! What the command for people asks: whether a deployment would become the root. Only reads.

use std::os::fd::AsFd;
use std::path::Path;

use ostree_formats::bootlink::Bootlink;
use ostree_formats::cmdline::{BootTarget, TargetSource};
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::{ComposefsMode, Parsed, PrepareRootConf};
use system::image;
use system::proc::Proc;

use crate::facts::{Caller, IMAGE, ImageFacts, PathKind};
use crate::failed::cause::Cause;
use crate::plan::recovery::{self, NoRecovery};
use crate::plan::{self, Resolved, composefs};
use crate::read::deployment::Deployment;
use crate::read::physical_root::PhysicalRoot;
use crate::read::{candidates, config, facts};
use crate::verify::{Finding, judge_with};

/// Whether a deployment would become the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It would.
    Good(String),
    /// It would not, for this reason.
    Bad(String),
    /// It could not be found out, for this reason.
    Unknown(String),
}

/// The configuration below `root`, as a boot reads it.
pub fn configuration(root: impl AsFd) -> Parsed {
    config::load(root)
}

/// Whether the deployment at `path` would become the root with the configuration `conf` of its initramfs, and the kernel argument
/// `ostree.prepare-root.composefs=`. The plan of a boot is made, with all that it looks up. If seals or a signature are demanded, the
/// image and all its objects are read.
pub fn would_mount(
    physical_root: &Path,
    path: &DeploymentPath,
    conf: &PrepareRootConf,
    argument: Option<&str>,
) -> Answer {
    let answer = planned(physical_root, path, conf, argument).and_then(|mode| {
        if mode >= ComposefsMode::Verity {
            verified(physical_root, path, conf, argument)
        } else {
            Ok(mode.as_str().to_owned())
        }
    });
    match answer {
        Ok(words) => Answer::Good(words),
        Err(finding) if finding.is_certain() => Answer::Bad(finding.to_string()),
        Err(finding) => Answer::Unknown(finding.to_string()),
    }
}

/// Makes the plan, without what a signature says.
fn planned(
    physical_root: &Path,
    path: &DeploymentPath,
    conf: &PrepareRootConf,
    argument: Option<&str>,
) -> Result<ComposefsMode, Finding> {
    let decision = composefs::decide(conf, argument)?;
    composefs::require_possible(conf, &decision)?;
    let mode = decision.mode;
    // Seals and signatures are judged afterwards, with all objects.
    let plain = if mode >= ComposefsMode::Verity { ComposefsMode::Yes } else { mode };
    let decision = composefs::Decision { mode: plain, verity: false, ..decision };
    let physical = open(physical_root)?;
    let shown = format!("/{path}");
    let directory = system::dir::open_directory(&physical, path.to_string());
    let directory = system::Context::context(directory, "open", &shown)?;
    let mut deployment = Deployment { path: path.clone(), directory, image: None };
    let found = if mode == ComposefsMode::No { Ok(PathKind::Nothing) } else { deployment.open_image() };
    let found = system::Context::context(found, "open", format_args!("{shown}/{IMAGE}"))?;
    let seal = system::Context::context(deployment.seal_of_image(), "measure", format_args!("{shown}/{IMAGE}"))?;
    let asked_for = BootTarget { path: shown.clone(), source: TargetSource::Ostree, argument: String::new() };
    let root = (ImageFacts { found, seal }, None);
    let facts = facts::facts(&physical, Caller::Systemd, &deployment, conf, plain, root, &asked_for)?;
    let facts = crate::verify::as_finalized(facts, &deployment);
    let facts = system::Context::context(facts, "read the attributes of", format_args!("{shown}/usr/etc"))?;
    let resolved = Resolved { asked_for, recovery: None, init: None, warning: None, by_option: false, counting: None };
    plan::plan(conf, decision, resolved, &facts)?;
    if let Some(file) = &deployment.image {
        image::tree(file).map_err(|error| Finding::Image { error, known: false })?;
    }
    Ok(mode)
}

fn verified(
    physical_root: &Path,
    path: &DeploymentPath,
    conf: &PrepareRootConf,
    argument: Option<&str>,
) -> Result<String, Finding> {
    judge_with(&open(physical_root)?, path, conf, argument)
}

fn open(physical_root: &Path) -> Result<PhysicalRoot, Finding> {
    let opened =
        Proc::open().map_err(Cause::from).and_then(|proc| PhysicalRoot::open(physical_root, proc).map_err(Cause::from));
    opened.map_err(|cause| Finding::NoRoot(cause.to_string()))
}

/// The deployment that a missing boot link has meant, by the rules of a boot: only one whose kernel has the bootcsum of the link, and
/// of several only one that leaves no doubt.
///
/// # Errors
/// Why none was chosen.
pub fn meant_by(physical_root: &Path, link: &Bootlink) -> Result<DeploymentPath, String> {
    let physical = open(physical_root).map_err(|error| error.to_string())?;
    let candidates = candidates::candidates(&physical, link).map_err(|error| error.to_string())?;
    recovery::choose(&candidates).map(|recovery| recovery.deployment).map_err(|reason| match reason {
        NoRecovery::NoKernel => "no deployment has its kernel".to_owned(),
        NoRecovery::Ambiguous(several) => {
            let names: Vec<String> = several.iter().map(|path| format!("/{path}")).collect();
            format!("several deployments have its kernel, and it is unknown which one was meant: {}", names.join(", "))
        }
        NoRecovery::Unknown(path, reason) => format!("/{path}, which may have been meant, cannot be checked: {reason}"),
    })
}
