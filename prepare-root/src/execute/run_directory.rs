//! Directories and files below `/run`.

use std::path::PathBuf;

use ostree_formats::booted_state::BootedState;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::{Context, SystemError, dir, mount};

use super::mounts::attach;
use super::stage::Stage;
use super::undo::VOLATILE_ROOT;
use crate::plan::step::MountSource;

/// systemd's own limits for a tmpfs on /run (systemd.exec and mount-setup): what PID 1 would mount otherwise.
const RUN_OPTIONS: [(&str, &str); 3] = [("mode", "0755"), ("size", "20%"), ("nr_inodes", "800k")];

/// PID 1: a tmpfs that becomes the new `/run`.
pub(super) fn new_run(stage: &mut Stage<'_>) -> Result<(), SystemError> {
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_STRICTATIME;
    let tmpfs = mount::new_filesystem("tmpfs", "tmpfs", &RUN_OPTIONS, attributes)?;
    stage.run = dir::open_directory(&tmpfs, ".").context("open", "a new tmpfs for /run")?;
    stage.new_run = Some(tmpfs);
    Ok(())
}

/// PID 1: the tmpfs is mounted here until the new root exists.
pub(super) fn lend_run(stage: &mut Stage<'_>, at: &str) -> Result<(), SystemError> {
    if let Some(run) = &stage.new_run {
        mount::attach_at(run, CWD, at).context("mount a tmpfs on", at)?;
        stage.run_at = PathBuf::from(at);
    }
    Ok(())
}

/// PID 1: the tmpfs becomes `/run`.
pub(super) fn attach_run(stage: &mut Stage<'_>) -> Result<(), SystemError> {
    let Some(run) = stage.new_run.take() else { return Ok(()) };
    attach(stage, run, "run").context("mount a tmpfs on", "/run")
}

/// A new directory for the transient `/etc`.
pub(super) fn transient_etc(stage: &mut Stage<'_>) -> Result<(), SystemError> {
    let object = "a directory for the transient /etc in /run/ostree";
    let ostree = dir::open_directory(&stage.run, "ostree").context("open", "/run/ostree")?;
    let name = dir::make_unique(&ostree, "transient-etc.", 0o700).context("make", object)?;
    stage.undo.transient_etc = Some(name.clone());
    let directory = dir::open_directory(&ostree, &name).context("open", object)?;
    for layer in ["upper", "work"] {
        dir::make(&directory, layer, 0o755).context("make", object)?;
    }
    stage.transient_etc = Some(name);
    Ok(())
}

/// So that systemd finds the disk behind an overlay root.
pub(super) fn volatile_root(stage: &mut Stage<'_>, device: u64) -> Result<(), SystemError> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    dir::make(&stage.run, "systemd", 0o755).context("make the directory", "/run/systemd")?;
    let target = format!("/dev/block/{major}:{minor}");
    let make = || rustix::fs::symlinkat(target.as_str(), &stage.run, VOLATILE_ROOT);
    match make() {
        // An earlier run made it, perhaps for another disk.
        Err(Errno::EXIST) => dir::remove_file(&stage.run, VOLATILE_ROOT).and_then(|()| make()),
        other => other,
    }
    .context("make the link", "/run/systemd/volatile-root")?;
    stage.undo.volatile_root = true;
    Ok(())
}

/// `/run/ostree-booted`.
pub(super) fn booted_state(stage: &mut Stage<'_>, state: &BootedState) -> Result<(), SystemError> {
    let mut state = state.clone();
    if let Some(directory) = &mut state.transient_etc {
        *directory = stage.path_of(&MountSource::TransientEtc(""));
    }
    dir::replace_volatile_file(&stage.run, "ostree-booted", &state.to_bytes(), 0o644)
        .context("write", "/run/ostree-booted")?;
    stage.undo.booted_state = true;
    if let Some(keys) = state.composefs.and_then(|composefs| composefs.signed_by) {
        // libostree's words: other programs look for them.
        log::info!("composefs+ostree: Validated commit signature using '{keys}'");
    }
    Ok(())
}

/// `/run/ostree/recovered-boot`: the record of a recovery.
pub(super) fn recovery_record(stage: &Stage<'_>, text: &str) -> Result<(), SystemError> {
    let ostree = dir::open_directory(&stage.run, "ostree").context("open", "/run/ostree")?;
    dir::replace_volatile_file(ostree, "recovered-boot", text.as_bytes(), 0o644)
        .context("write", "/run/ostree/recovered-boot")
}

/// `/run/ostree/chosen-deployment`: the deployment that a person has chosen by an option.
pub(super) fn choice_record(stage: &mut Stage<'_>, deployment: &str) -> Result<(), SystemError> {
    const RECORD: &str = "/run/ostree/chosen-deployment";
    let text = format!("/{deployment}\n");
    let ostree = dir::open_directory(&stage.run, "ostree").context("open", "/run/ostree")?;
    dir::replace_volatile_file(ostree, "chosen-deployment", text.as_bytes(), 0o644).context("write", RECORD)?;
    stage.undo.choice_record = true;
    Ok(())
}
