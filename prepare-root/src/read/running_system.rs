//! Whether there is nothing to prepare: the root is already prepared, or this is a running system.

use std::path::{Path, PathBuf};

use ostree_formats::booted_state::BootedState;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::mountinfo;
use ostree_sysroot::boot_links::Followed;
use system::proc::Proc;
use system::{Context, SystemError, dir};

use super::mount_state::{self, PreparedFor};
use super::physical_root::{PhysicalRoot, PhysicalRootError};

/// The record of the booted deployment, by an earlier run or by libostree.
const BOOTED: &str = "/run/ostree-booted";

/// If `sysroot` is a prepared root, such as `/` of a running system, the directory `sysroot` in it; otherwise `sysroot` itself.
pub(crate) fn physical_root_of_running_system(sysroot: &Path) -> Result<PathBuf, PhysicalRootError> {
    let physical = PhysicalRoot::open(sysroot, Proc::open()?)?;
    let prepared = prepared_already(&physical)?;
    Ok(if prepared.is_some() { sysroot.join("sysroot") } else { sysroot.to_owned() })
}

/// What it is prepared for, if it is prepared.
pub(crate) fn prepared_already(physical: &PhysicalRoot) -> Result<Option<PreparedFor>, SystemError> {
    // Read the mount table only if this check succeeds.
    if !physical.has_mount_at_sysroot()? {
        return Ok(None);
    }
    let mounts = mountinfo::parse(&physical.proc.mountinfo()?);
    Ok(mount_state::prepared(&mounts, &physical.at))
}

/// The record of a choice, by an earlier run with `--deployment`.
const CHOSEN: &str = "/run/ostree/chosen-deployment";

/// The deployment that an earlier run was told to use by an option. A record that names none is as good as none.
pub(crate) fn recorded_choice() -> Result<Option<DeploymentPath>, SystemError> {
    const LIMIT: u64 = 4 << 10;
    let record = dir::open_root(Path::new("/run")).and_then(|run| dir::read(run, "ostree/chosen-deployment", LIMIT));
    let Some(record) = dir::if_there(record).context("read", CHOSEN)? else { return Ok(None) };
    let path = str::from_utf8(&record).ok().and_then(|text| text.trim_end().parse().ok());
    Ok(path)
}

/// Whether `/run/ostree-booted` is about this deployment.
pub(crate) fn is_recorded(deployment: &Followed) -> Result<bool, SystemError> {
    const LIMIT: u64 = 64 << 10;
    let record = dir::open_root(Path::new("/run")).and_then(|run| dir::read(run, "ostree-booted", LIMIT));
    let Some(record) = dir::if_there(record).context("read", BOOTED)? else { return Ok(false) };
    let Ok(booted) = BootedState::from_bytes(&record) else { return Ok(false) };
    let stat =
        dir::stat_fd(&deployment.directory).context("read the attributes of", format_args!("/{}", deployment.path))?;
    Ok((stat.device, stat.inode) == (booted.device, booted.inode))
}

/// What `/` is, if it is the root of a deployment: then this is a running system, and its `/sysroot` is in use.
pub(crate) fn root_of_running_system(proc: &Proc) -> Result<Option<String>, SystemError> {
    // The mount table decides. Without this file there is no need to read it, and an overlay root may be an initramfs.
    if !dir::exists(BOOTED).context("look for", BOOTED)? {
        return Ok(None);
    }
    Ok(mount_state::root_of_deployment(&mountinfo::parse(&proc.mountinfo()?)))
}
