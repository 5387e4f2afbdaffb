//! What is mounted in the new root.

use ostree_formats::prepare_root_conf::PrepareRootConf;

use super::composefs::ImageRoot;
use super::error::{PlanError, require_directory};
use super::step::{Access, BindTarget, MountSource, Step, Upper};
use crate::facts::{Caller, Facts, PathKind};

/// `/boot`, bound from the physical root before `/sysroot` becomes read-only, so it is as writable as the disk. If the version of
/// the tree's libostree is unknown, it is read-only with `/sysroot`: so mounts the generator of newer versions, and it skips a
/// `/boot` that is mounted already.
pub(super) fn boot(conf: &PrepareRootConf, sysroot_ro: bool, facts: &Facts) -> Option<Step> {
    let with_systemd = facts.systemd_follows();
    let wanted = conf.boot_mount.unwrap_or(true) || !with_systemd;
    let possible = facts.boot_loader_link && facts.deployment.boot == PathKind::Directory;
    let like_sysroot = conf.boot_mount.is_none() && with_systemd && sysroot_ro;
    let access = if like_sysroot { Access::ReadOnly } else { Access::Inherited };
    (wanted && possible).then(|| bind(physical("boot"), BindTarget::NewRoot("boot"), access))
}

/// `/etc`: needs no mount if the whole root stays writable.
pub(super) fn etc(conf: &PrepareRootConf, root_ro: bool, facts: &Facts) -> Result<Vec<Step>, PlanError> {
    if conf.etc_transient {
        require_directory("usr/etc", facts.deployment.usr_etc)?;
        let overlay = Step::Overlay {
            target: "etc",
            lower: vec![MountSource::Deployment("usr/etc")],
            upper: Some(Upper { upper: MountSource::TransientEtc("upper"), work: MountSource::TransientEtc("work") }),
            access: Access::Inherited,
        };
        return Ok(vec![Step::TransientEtcDirectory, overlay]);
    }
    let access = writable(facts, false);
    Ok(root_ro.then(|| bind(MountSource::Deployment("etc"), BindTarget::NewRoot("etc"), access)).into_iter().collect())
}

/// For a copy of the physical root's mount that must be writable: there is nothing to do if that mount is.
fn writable(facts: &Facts, made_read_only: bool) -> Access {
    if facts.sysroot_read_only || made_read_only { Access::Writable } else { Access::Inherited }
}

/// `/usr`: with an image it is part of the read-only root.
pub(super) fn usr(
    image: Option<&ImageRoot>,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<Option<Step>, PlanError> {
    let deployment = &facts.deployment;
    let usr = MountSource::Deployment("usr");
    if deployment.hotfix_work == PathKind::Nothing {
        return Ok(image.is_none().then(|| bind(usr, BindTarget::NewRoot("usr"), Access::ReadOnly)));
    }
    if image.is_some_and(|image| image.signed_by.is_some()) {
        warnings.push("the hotfix of /usr (.usr-ovl-work) is not used: the signature does not cover it".to_owned());
        return Ok(None);
    }
    match (deployment.hotfix_work, deployment.hotfix_upper) {
        (PathKind::Directory, PathKind::Directory) => {}
        (PathKind::Directory, _) => return Err(PlanError::HotfixWithoutUpper),
        _ => return Err(PlanError::HotfixWork),
    }
    // An image contains only the tree.
    let beside = |name| match image {
        Some(_) => physical(format!("{}/{name}", deployment.path)),
        None => MountSource::Deployment(name),
    };
    let (upper, work) = (beside(".usr-ovl-upper"), beside(".usr-ovl-work"));
    let target = "usr";
    Ok(Some(if facts.sysroot_read_only {
        // The kernel refuses an upper layer on a read-only disk. The administrator still wants to run the hotfix.
        Step::Overlay { target, lower: vec![upper, usr], upper: None, access: Access::ReadOnly }
    } else {
        Step::Overlay { target, lower: vec![usr], upper: Some(Upper { upper, work }), access: Access::Inherited }
    }))
}

/// As PID 1 the physical root is at `/sysroot` by pivot_root already.
pub(super) fn sysroot(pid1: bool, sysroot_ro: bool) -> Option<Step> {
    match (pid1, sysroot_ro) {
        (false, true) => Some(bind(physical(""), BindTarget::Sysroot, Access::ReadOnly)),
        (false, false) => Some(bind(physical(""), BindTarget::Sysroot, Access::Inherited)),
        (true, true) => Some(Step::SysrootReadOnly),
        (true, false) => None,
    }
}

/// With a read-only `/sysroot` the stateroot's `var` is bound over itself, writable. `/var` itself is only mounted if no other
/// program mounts it later.
pub(super) fn var(
    mount_var: bool,
    sysroot_ro: bool,
    facts: &Facts,
    warnings: &mut Vec<String>,
) -> Result<Vec<Step>, PlanError> {
    let source = facts.deployment.path.stateroot_var();
    if facts.stateroot_var != PathKind::Directory {
        if mount_var || sysroot_ro {
            return Err(PlanError::NoStaterootVar(facts.stateroot_var.describe()));
        }
        warnings.push(format!("/{source} is missing: /var cannot be mounted"));
    }
    // As PID 1 the mount of the physical root itself became read-only, otherwise a copy of it.
    let access = writable(facts, sysroot_ro && facts.caller == Caller::Pid1);
    let mut steps = Vec::new();
    if sysroot_ro {
        steps.push(bind(physical(source.clone()), BindTarget::Physical(source.clone()), access));
    }
    match facts.deployment.var {
        PathKind::Directory if mount_var => steps.push(Step::Bind {
            source: physical(source),
            target: BindTarget::NewRoot("var"),
            access: if sysroot_ro { access } else { Access::Inherited },
            slave_and_shared: true,
        }),
        PathKind::Directory => {}
        found if mount_var => return Err(PlanError::Incomplete { name: "var", found: found.describe() }),
        _ => warnings.push("the deployment has no directory var: /var cannot be mounted".to_owned()),
    }
    Ok(steps)
}

fn bind(source: MountSource, target: BindTarget, access: Access) -> Step {
    Step::Bind { source, target, access, slave_and_shared: false }
}

fn physical(path: impl Into<String>) -> MountSource {
    MountSource::Physical(path.into())
}
