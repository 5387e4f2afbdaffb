//! The new root itself.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use system::image::{self, UpperLayer};
use system::mount::{self, Detached};
use system::{Context, SystemError, dir};

use super::stage::Stage;
use crate::facts::IMAGE;
use crate::plan::step::{Access, MountSource};

/// On the physical root: the content of an image's files.
const OBJECTS: &str = "ostree/repo/objects";

/// A root that is the deployment directory.
pub(super) fn new_root(stage: &mut Stage<'_>, deployment: &str, at: &str) -> Result<(), SystemError> {
    let root = mount::clone(&stage.deployment.directory).context("bind", format_args!("/{deployment}"))?;
    put(stage, root, at).context("mount the deployment on", at)
}

fn put(stage: &mut Stage<'_>, root: Detached, at: &str) -> Result<(), Errno> {
    mount::attach_at(&root, CWD, at)?;
    stage.undo.new_root = Some(at.to_owned());
    stage.new_root_at = PathBuf::from(at);
    stage.new_root = Some(root);
    Ok(())
}

/// The layers that an image is mounted with.
pub(super) struct Layers<'a> {
    /// Where the image is mounted for a moment.
    pub(super) lower: &'a str,
    /// The path of the image, if the open file has none.
    pub(super) by_path: Option<&'a str>,
    /// Directory with `upper` and `work`.
    pub(super) transient: Option<&'a str>,
}

/// A root that is an image, not attached yet.
pub(super) fn image_root(
    stage: &mut Stage<'_>,
    layers: Layers<'_>,
    verity: bool,
    access: Access,
) -> Result<Detached, SystemError> {
    let image = stage.deployment.image.as_ref().ok_or(Errno::BADF).context("open", IMAGE)?;
    // The kernel takes a path and would follow links out of the physical root, so resolve them here.
    let objects = dir::open_directory(stage.physical, OBJECTS).and_then(|objects| stage.physical.path_inside(objects));
    let objects = stage.path_of(&MountSource::Physical(objects.context("look up", format_args!("/{OBJECTS}"))?));
    let transient = layers.transient.and_then(|directory| directory.strip_prefix("/run/"));
    let layer = |directory, name| stage.run_at.join(directory).join(name).display().to_string();
    let upper_and_work = transient.map(|directory| [layer(directory, "upper"), layer(directory, "work")]);
    let upper = upper_and_work.as_ref().map(|[upper, work]| UpperLayer { upper, work });
    let read_only = access == Access::ReadOnly;
    stage.undo.lower = Some(layers.lower.to_owned());
    let of_image = image::Layers { objects: &objects, upper, verity, read_only };
    image::root(image, layers.by_path, layers.lower, &of_image)
}

/// Mounts the root at its place.
pub(super) fn put_image_root(stage: &mut Stage<'_>, root: Detached, at: &str) -> Result<(), SystemError> {
    put(stage, root, at).context("mount the root on", at)?;
    stage.undo.lower = None;
    Ok(())
}

/// PID 1: the new root becomes `/`, the physical root `/sysroot`.
pub(super) fn pivot(stage: &mut Stage<'_>) -> Result<(), SystemError> {
    let at = stage.new_root_at.display().to_string();
    mount::pivot_root(Path::new(&at), Path::new(&format!("{at}/sysroot"))).context("make the new root", at)?;
    stage.physical_at = PathBuf::from("/sysroot");
    stage.new_root_at = PathBuf::from("/");
    Ok(())
}

/// Detaches the physical root from SYSROOT, and mounts the new root there.
pub(super) fn move_into_place(stage: &mut Stage<'_>, sysroot: &Path, writable: bool) -> Result<(), SystemError> {
    let object = &sysroot.display();
    let Some(new_root) = &stage.new_root else { return Ok(()) };
    mount::detach(sysroot).context("detach the physical root from", object)?;
    stage.undo.physical_root_inside = Some(writable);
    mount::attach_at(new_root, CWD, sysroot).context("move the new root to", object)
}
