//! What is mounted in the new root.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::mount::{self, Detached};
use system::{Context, SystemError, dir};

use super::stage::Stage;
use crate::plan::step::{Access, BindTarget, MountSource, Upper};

/// A bind mount.
pub(super) fn bind(
    stage: &mut Stage<'_>,
    source: &MountSource,
    target: &BindTarget,
    access: Access,
    slave_and_shared: bool,
) -> Result<(), SystemError> {
    let from = stage.path_of(source);
    let mount = clone(stage, source).context("bind", &from)?;
    mount::set_access(&mount, to_access(access)).context("set the access of", &from)?;
    if slave_and_shared {
        mount::set_slave_and_shared(&mount).context("make slave and shared", &from)?;
    }
    let attached = match target {
        BindTarget::NewRoot(name) => attach(stage, &mount, name),
        BindTarget::Sysroot => attach(stage, &mount, "sysroot"),
        BindTarget::Physical(path) => attach_on_physical_root(stage, &mount, path),
    };
    attached.context("mount", format_args!("{from} on /{target}"))?;
    match target {
        BindTarget::Sysroot => stage.sysroot = Some(mount),
        BindTarget::NewRoot(_) | BindTarget::Physical(_) => dir::leave_open(mount),
    }
    Ok(())
}

/// An overlay on a directory of the new root.
pub(super) fn overlay(
    stage: &Stage<'_>,
    target: &str,
    lower: &[MountSource],
    upper: Option<&Upper>,
    access: Access,
) -> Result<(), SystemError> {
    let mut options = vec![("lowerdir", lower_layers(stage, lower))];
    if let Some(layers) = upper {
        options.push(("upperdir", stage.path_of(&layers.upper)));
        options.push(("workdir", stage.path_of(&layers.work)));
    }
    let options: Vec<(&str, &str)> = options.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mount = mount::new_filesystem("overlay", "overlay", &options, MountAttrFlags::empty())?;
    mount::set_access(&mount, to_access(access)).context("set the access of", format_args!("/{target}"))?;
    attach(stage, mount, target).context("mount an overlay on", format_args!("/{target}"))
}

/// PID 1: the kernel's devtmpfs, or a new one if the kernel mounted none.
pub(super) fn dev(stage: &Stage<'_>, mounted: bool) -> Result<(), SystemError> {
    if mounted {
        attach(stage, dir::open_root(Path::new("/dev")).context("open", "/dev")?, "dev")
    } else {
        // The attributes that systemd uses.
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
        attach(stage, mount::new_filesystem("devtmpfs", "devtmpfs", &[], attributes)?, "dev")
    }
    .context("mount the device nodes on", "/dev")
}

/// Mounts something on a directory of the new root.
pub(super) fn attach(stage: &Stage<'_>, mount: impl AsFd, name: &str) -> Result<(), Errno> {
    let root = stage.new_root.as_ref().ok_or(Errno::BADF)?;
    mount::attach_at(mount.as_fd(), root, name)
}

/// Mounts something on the physical root inside the new root. The target is looked up inside the physical root, like its source: a
/// link there must not lead into the verified tree.
fn attach_on_physical_root(stage: &Stage<'_>, mount: &Detached, path: &str) -> Result<(), Errno> {
    // As PID 1 the mount of the physical root itself has moved there.
    let physical = stage.sysroot.as_ref().map_or(stage.physical.as_fd(), AsFd::as_fd);
    let directory = dir::open_directory(physical, path)?;
    let result = mount::attach(mount, &directory);
    dir::leave_open(directory);
    result
}

/// A copy of the mount that a directory is on.
fn clone(stage: &Stage<'_>, source: &MountSource) -> Result<Detached, Errno> {
    match source {
        // On the physical root the directory may be a link to another directory of the physical root.
        MountSource::Physical(path) if !path.is_empty() => {
            let directory = dir::open_directory(stage.physical, path)?;
            let mount = mount::clone(&directory);
            dir::leave_open(directory);
            mount
        }
        MountSource::Physical(_) => mount::clone(stage.physical),
        MountSource::Deployment(name) => mount::clone_at(&stage.deployment.directory, name),
        // It is only a layer of an overlay.
        MountSource::TransientEtc(_) => Err(Errno::INVAL),
    }
}

/// Colons separate lower layers, so a colon in a path is escaped with a backslash.
fn lower_layers(stage: &Stage<'_>, places: &[MountSource]) -> String {
    let escaped = |place| stage.path_of(place).replace('\\', "\\\\").replace(':', "\\:");
    places.iter().map(escaped).collect::<Vec<_>>().join(":")
}

fn to_access(access: Access) -> mount::Access {
    match access {
        Access::Inherited => mount::Access::Inherited,
        Access::ReadOnly => mount::Access::ReadOnly,
        Access::Writable => mount::Access::Writable,
    }
}

/// Whether `path` exists and is a mount point.
pub(super) fn is_mount(path: &str) -> Result<bool, SystemError> {
    let opened = dir::if_there(dir::open_root(Path::new(path))).context("open", path)?;
    let stat = opened.map(dir::stat_fd).transpose().context("read the attributes of", path)?;
    Ok(stat.is_some_and(|stat| stat.mount_root))
}
