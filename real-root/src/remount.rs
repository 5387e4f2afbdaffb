//! `ostree-remount`: makes `/sysroot`, `/etc` and `/var` read-only or writable, as prepare-root has noted in `/run/ostree-booted`, after
//! `systemd-remount-fs.service` and before `local-fs.target`. In most boots they are so already, and nothing is done.

mod labels;
mod plan;

use std::ffi::OsString;
use std::path::Path;

use ostree_formats::booted_state::MountState;
use rustix::fs::{FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::MountFlags;
use system::log::{Sink, Stderr};
use system::{Context, SystemError, dir};

use crate::status::{FAILED, SUCCESS, Status, USAGE};
use plan::Remount;

const PROGRAM: &str = "ostree-remount";
const BOOTED: &str = "/run/ostree-booted";
const LIMIT: u64 = 1 << 20;

/// Runs the program. It has no arguments.
pub fn run(arguments: Vec<OsString>) -> Status {
    let stderr = Stderr::of_this_process();
    Sink::new(if stderr == Stderr::Journal { "" } else { PROGRAM }, stderr, None).install();
    if !arguments.is_empty() {
        log::error!("{PROGRAM} has no arguments");
        return USAGE;
    }
    match remount() {
        Ok(true) => SUCCESS,
        Ok(false) => FAILED,
        Err(error) => {
            log::error!("error: {error}");
            FAILED
        }
    }
}

/// `false`: a mount stays as it is, and a message says which.
fn remount() -> Result<bool, SystemError> {
    let state = state()?;
    if let Some(overlay) = &state.transient_etc {
        labels::give(overlay)?;
    }
    let root = rustix::fs::statvfs("/").context("read the attributes of", "/")?;
    let root_is_read_only = root.f_flag.contains(StatVfsMountFlags::RDONLY);
    // Of several the others are tried as well: a /sysroot that is busy is no reason for a /var that cannot be written to.
    Ok(plan::plan(&state, root_is_read_only).into_iter().filter(|wanted| !execute(*wanted)).count() == 0)
}

/// What prepare-root has noted. Initramfs of before 2023 note nothing: then an empty file is made, by which other programs know an
/// OSTree system.
fn state() -> Result<MountState, SystemError> {
    let root = dir::open_root(Path::new("/")).context("open", "/")?;
    match dir::read(&root, BOOTED, LIMIT) {
        Err(Errno::NOENT) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOCTTY | OFlags::CLOEXEC;
            let made = rustix::fs::open(BOOTED, flags, Mode::from_raw_mode(0o640));
            made.context("make", BOOTED)?;
            Ok(MountState::default())
        }
        bytes => Ok(MountState::from_bytes(&bytes.context("read", BOOTED)?).unwrap_or_else(|reason| {
            log::warn!("{BOOTED} is damaged: {reason}; going on as if it were empty");
            MountState::default()
        })),
    }
}

/// Does what is needed, if anything is. `false`: it could not be done.
fn execute(wanted: Remount) -> bool {
    let Remount { path, writable } = wanted;
    let access = if writable { "rw" } else { "ro" };
    match change(path, writable) {
        Ok(true) => {
            // A closed pipe is not an error.
            let _ = system::output::print(&format!("Remounted {access}: {path}\n"));
            true
        }
        Ok(false) => true,
        Err(reason) => {
            log::error!("cannot remount {path} {access}: {reason}");
            false
        }
    }
}

/// Whether something was changed. What is no mount, or a link to another place, stays as it is.
fn change(path: &str, writable: bool) -> Result<bool, Errno> {
    let kind = match rustix::fs::lstat(path) {
        Err(Errno::NOENT) => return Ok(false),
        other => FileType::from_raw_mode(other?.st_mode),
    };
    if kind == FileType::Symlink {
        return Ok(false);
    }
    let is_writable = !rustix::fs::statvfs(path)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    if is_writable == writable {
        return Ok(false);
    }
    // Not only this mount (MS_BIND): its filesystem may be read-only, too.
    let read_only = if writable { MountFlags::empty() } else { MountFlags::RDONLY };
    match rustix::mount::mount_remount(path, MountFlags::SILENT | read_only, "") {
        Ok(()) => Ok(true),
        // Nothing is mounted exactly there.
        Err(Errno::INVAL) => Ok(false),
        Err(error) => Err(error),
    }
}
