//! The last changes in a deployment before it can boot: acts.

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::{Roots, Sysroot, deployment};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use selinux_policy::Labels;
use system::dir::Kind;
use system::{Context, SystemError, dir, tree};

use super::var_labels;
use crate::tell::progress::Progress;

/// Removes systemd's marks, labels `/var` once, makes the backing directory, and makes the deployment immutable.
pub(crate) fn finish(
    roots: &Roots,
    sysroot: &Sysroot,
    target: &DeploymentPath,
    labels: &Labels,
    progress: &mut Progress,
) -> Result<(), SystemError> {
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
    var_labels::label_once(roots, target, labels, &mut || progress.step())?;
    make_backing(roots, target, labels)?;
    label_origin(roots, target, labels);
    tree::set_immutable(&directory, true).context("make immutable", format_args!("/{target}"))
}

/// Makes the directory for the upper layer of a transient root.
fn make_backing(roots: &Roots, target: &DeploymentPath, labels: &Labels) -> Result<(), SystemError> {
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
    // It becomes the root directory.
    let upper = format!("{transient}/upper");
    match dir::open(&stateroot, &upper, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(upper) => labels.give(upper, b"/", Kind::Directory),
        Err(error) => log::warn!("cannot label /{root}/{upper}: {error}"),
    }
    Ok(())
}

/// The origin file was written when the deployment was staged; without SELinux in the kernel it has no label then.
fn label_origin(roots: &Roots, target: &DeploymentPath, labels: &Labels) {
    /// By this path libostree asks for the label.
    const LIKE: &[u8] = b"/etc/ostree/remotes.d/dummy.conf";
    match dir::open(&roots.sysroot, target.origin_file(), OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK) {
        Ok(origin) => labels.give(origin, LIKE, Kind::File),
        Err(Errno::NOENT) => {}
        Err(error) => log::warn!("cannot label /{}: {error}", target.origin_file()),
    }
}
