//! Kernels in `/boot` of deployments that stay: are they what their trees have?

use ostree_sysroot::boot_names::kernel_directory;
use ostree_sysroot::compared_files::{ComparedFiles, are_unchanged_since};
use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::{Roots, Sysroot, booted, kernel_layout, same_files};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::finalization::Finalization;
use crate::read::run_directory::RunDirectory;

/// Warns of damaged kernels of the other deployments, before they are needed. It skips deployments that are removed. Files that
/// were good earlier in this boot are not read again, not at shutdown either.
pub(super) fn warn(
    roots: &Roots,
    run: &RunDirectory,
    sysroot: &Sysroot,
    plan: &Finalization,
    began: (i64, i64),
) -> Result<(), SystemError> {
    let mut compared = run.compared()?;
    let mut directories = Vec::new();
    for (index, listed) in plan.boot.list.iter().enumerate() {
        let deployment = &listed.deployment;
        let directory = kernel_directory(&deployment.path.stateroot, &deployment.bootcsum);
        let is_installed_anew = plan.files.installs.iter().any(|install| install.directory == directory);
        if is_installed_anew || directories.contains(&directory) {
            continue;
        }
        // The plan has just compared the files of the staged deployment.
        let good_since = match index {
            0 => Ok(began),
            _ if deployment.path == sysroot.booted => booted::booted_at(roots),
            _ => Ok((0, 0)),
        };
        let checked = good_since.and_then(|time| check(roots, run, &mut compared, deployment, &directory, time));
        if let Err(error) = checked {
            log::warn!("{error}: /{} could not be checked", deployment.path);
        }
        directories.push(directory);
    }
    Ok(())
}

/// Compares the files of one deployment in `/boot`. Files that have not changed since `good_since` are good: they have booted, or
/// the plan has just compared them.
fn check(
    roots: &Roots,
    run: &RunDirectory,
    compared: &mut ComparedFiles,
    deployment: &Deployment,
    directory: &str,
    good_since: (i64, i64),
) -> Result<(), SystemError> {
    let there = match dir::open(&roots.boot, format!("ostree/{directory}"), OFlags::RDONLY | OFlags::DIRECTORY) {
        // Shutdown installs it.
        Err(Errno::NOENT) => return Ok(()),
        other => other.context("open", format_args!("/boot/ostree/{directory}"))?,
    };
    // A damaged deployment has no files to compare with.
    let Some(kernel) = deployment.kernel() else { return Ok(()) };
    let source = kernel_layout::open_directory(&roots.sysroot, &deployment.path, kernel)?;
    let mut good = Vec::new();
    for file in kernel.files() {
        let name = std::iter::once((file.target.as_str(), file.is_directory));
        let shown = format_args!("/boot/ostree/{directory}/{}", file.target);
        let is_known = compared.has(directory, &source, &there, file).context("read the attributes of", shown)?
            || are_unchanged_since(good_since, &there, name).context("read the attributes of", shown)?;
        let is_good = is_known || same_files::same(&source, &there, file).context("compare", shown)?;
        if is_good {
            good.push(file.clone());
        } else {
            log::warn!(
                "/boot/ostree/{directory}/{} differs from the file in /{}: that deployment may not boot; to repair it, stage \
                 its commit again",
                file.target,
                deployment.path
            );
        }
    }
    compared
        .add(directory, &source, &there, &good)
        .context("read the attributes of", format_args!("/boot/ostree/{directory}"))?;
    run.keep_compared(compared)
}
