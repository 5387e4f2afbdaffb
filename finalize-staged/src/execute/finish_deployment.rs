//! The last changes in a deployment before it can boot: acts.

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::{Roots, Sysroot, deployment};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::{Context, SystemError, dir, tree};

use crate::tell::journal;

/// Removes systemd's marks, marks `/var` as labelled, makes the backing directory, and makes the deployment immutable.
pub(crate) fn finish(roots: &Roots, sysroot: &Sysroot, target: &DeploymentPath) -> Result<(), SystemError> {
    let directory = deployment::open(roots, target)?;
    // Without the marks, systemd's ConditionNeedsUpdate= is true at the next boot.
    tree::open(&directory, b"etc")
        .and_then(|etc| dir::remove_file(etc, ".updated"))
        .context("remove", format_args!("/{target}/etc/.updated"))?;
    let var = if target.stateroot == sysroot.booted.stateroot {
        dir::open_root(std::path::Path::new("/var"))
    } else {
        dir::open_directory(&roots.sysroot, target.stateroot_var())
    };
    match var.and_then(|var| dir::remove_file(var, ".updated")) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => {
            log::warn!("cannot remove /var/.updated: {error}; services that wait for an update of /var will not run")
        }
    }
    mark_var(roots, target)?;
    make_backing(roots, target)?;
    tree::set_immutable(&directory, true).context("make immutable", format_args!("/{target}"))
}

/// Writes libostree's mark of a stateroot whose `/var` has been labelled. firstroot finalizes only trees without a policy, so there
/// is nothing to label. Without the mark, libostree would label all of `/var` at its next deployment.
fn mark_var(roots: &Roots, target: &DeploymentPath) -> Result<(), SystemError> {
    let path = format!("{}/.ostree-selabeled", target.stateroot_var());
    let var = match dir::open(&roots.sysroot, target.stateroot_var(), OFlags::RDONLY | OFlags::DIRECTORY) {
        Err(Errno::NOENT) => return Ok(()),
        other => other.context("open", format_args!("/{}", target.stateroot_var()))?,
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(var, ".ostree-selabeled", flags, Mode::from_raw_mode(0o644)) {
        Ok(_) => {
            journal::labelling_var();
            Ok(())
        }
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error).context("make", format_args!("/{path}")),
    }
}

/// Makes the directory for the upper layer of a transient root.
fn make_backing(roots: &Roots, target: &DeploymentPath) -> Result<(), SystemError> {
    let root = format!("ostree/deploy/{}", target.stateroot);
    let stateroot = dir::open(&roots.sysroot, &root, OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/{root}"))?;
    let mode = dir::stat_fd(deployment::open(roots, target)?)
        .context("read the attributes of", format_args!("/{target}"))?
        .mode;
    let backing = format!("backing/{}", target.id);
    let transient = format!("{backing}/root-transient");
    let directories = [
        ("backing", 0o700),
        (&backing, 0o700),
        (&transient, 0o700),
        (&format!("{transient}/work"), 0o700),
        (&format!("{transient}/upper"), mode),
    ];
    for (path, mode) in directories {
        match rustix::fs::mkdirat(&stateroot, path, Mode::from_raw_mode(mode.into())) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error).context("make", format_args!("/{root}/{path}")),
        }
    }
    Ok(())
}
