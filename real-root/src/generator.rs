//! `ostree-system-generator`: writes the units that mount `/var` and `/boot` of the booted deployment, before systemd loads units.
//!
//! systemd runs it at every boot, `daemon-reload` and soft reboot, before anything is mounted that the initramfs has not mounted. It
//! writes what libostree 2026.4 writes, byte for byte. A failure leaves a boot without `/var`, and nobody sees the standard error of a
//! generator, so the kernel log gets each message.

mod plan;
mod read;
mod stateroot;
mod write;

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::path::Path;

use system::log::Sink;
use system::{Context, SystemError, dir};

use crate::status::{FAILED, SUCCESS, Status, USAGE};
use read::Found;

/// Where libostree's generator writes if it is called by hand, without arguments.
const BY_HAND: &str = "/tmp";

/// Runs the program: `NORMAL EARLY LATE`, the directories of systemd.generator(7), of which the first is used.
pub fn run(arguments: Vec<OsString>) -> Status {
    Sink::of_a_generator("ostree-system-generator").install();
    let directory = match arguments.as_slice() {
        [] => OsStr::new(BY_HAND),
        [normal, _, _] => normal,
        _ => {
            log::error!("three directories are needed as arguments, or none");
            return USAGE;
        }
    };
    // An initramfs has the same command line, and the physical root at /sysroot: systemd says where it is (systemd.generator(7)).
    if std::env::var_os("SYSTEMD_IN_INITRD").is_some_and(|answer| answer == "1") {
        return SUCCESS;
    }
    system::limits::make_files_for_everybody_to_read();
    match generate(Path::new("/"), Path::new(directory)) {
        Ok(true) => SUCCESS,
        Ok(false) => FAILED,
        Err(error) => {
            log::error!("/var and /boot are not mounted by this boot: {error}");
            FAILED
        }
    }
}

/// Reads below `root`, decides, and writes to `directory`. `false`: something is missing, and a message says what.
fn generate(root: &Path, directory: &Path) -> Result<bool, SystemError> {
    let root = dir::open_root(root).context("open", root.display())?;
    let facts = match read::facts(root.as_fd())? {
        Found::Nothing => return Ok(true),
        Found::Unusable(reason) => {
            log::error!("/var is not mounted by this boot: {reason}");
            return Ok(false);
        }
        Found::Facts(facts) => facts,
    };
    let items = plan::plan(&facts);
    let is_complete = write::all(directory, &items)?;
    if let Err(reason) = &facts.var {
        log::error!("/var is not mounted by this boot: {reason}");
    }
    Ok(is_complete && facts.var.is_ok())
}

/// The stateroot that a path names, and the unit that mounts its `/var`.
#[cfg(feature = "fuzzing")]
pub(crate) fn var_mount_of(path: &str) -> Option<(String, String)> {
    let stateroot = stateroot::in_path(path)?;
    let facts = plan::Facts {
        var: Ok(Some(stateroot.clone())),
        boot_is_on_the_root: false,
        is_trial: false,
        unit: None,
        timeout: None,
    };
    let unit = plan::plan(&facts).into_iter().find_map(|item| match item {
        plan::Item::File("var.mount", text) => Some(text),
        _ => None,
    })?;
    Some((stateroot.as_str().to_owned(), unit))
}

#[cfg(test)]
mod tests;
