//! `--boot-complete`: at the next boot, reports that the last finalization failed, and finishes a soft reboot.

use std::path::Path;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::{Roots, Sysroot, booted};
use rustix::io::Errno;
use system::{Context, dir};

use crate::brief::Brief;
use crate::checks::require_booted_and_root;
use crate::error::Error;
use crate::execute::{failure_stamp, writable_roots};
use crate::read::run_directory::RunDirectory;

/// The report about the shutdown before this boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// Nothing.
    Nothing,
    /// The update is finalized, and these remarks are left.
    Remarks(Vec<String>),
    /// Finalization failed.
    Failed {
        /// The first line of the stamp.
        reason: String,
        /// The same in lines that are short enough for `systemctl status`.
        brief: Vec<String>,
    },
}

/// Reads and removes the stamp.
pub(crate) fn boot_complete() -> Result<Report, Error> {
    require_booted_and_root()?;
    // First, because `/run/ostree-booted` must name the booted deployment, whatever else fails.
    finish_soft_reboot()?;
    let roots = Roots::at(Path::new("/"))?;
    let Some(text) = failure_stamp::read(&roots)? else { return Ok(Report::Nothing) };
    // Looked up before this process leaves the namespace that it was opened in. An error is returned after the stamp is removed.
    let target = failure_stamp::target(&text);
    let is_booted = target.as_ref().map(|target| booted::is_the_booted_one(&roots, target)).transpose();
    let remarks =
        failure_stamp::remarks(&text).filter(|_| target.is_some_and(|target| is_in_the_list(&roots, &target)));
    drop(roots);
    // The stamp is reported even if it cannot be removed.
    match writable_roots::open() {
        Ok(roots) => failure_stamp::remove(&roots),
        Err(error) => {
            log::warn!("{error}: {} cannot be removed, and the next boot will report it again", failure_stamp::PATH)
        }
    }
    let is_booted = is_booted?.unwrap_or(false);
    // A menu that boots the update is good enough.
    let counts = |remark: &String| !is_booted || !remark.starts_with(failure_stamp::MENU_IS_OLD);
    Ok(match remarks {
        Some(remarks) if remarks.iter().any(counts) => Report::Remarks(remarks.into_iter().filter(counts).collect()),
        _ if is_booted => {
            log::info!("removing {}: the update that it names is booted", failure_stamp::PATH);
            Report::Nothing
        }
        _ => failed(&text),
    })
}

/// What a stamp says about a failure.
fn failed(text: &str) -> Report {
    let mut lines = text.lines();
    let reason = lines.next().unwrap_or_default().to_owned();
    let brief: Vec<String> = lines.map(str::to_owned).collect();
    if !brief.is_empty() {
        return Report::Failed { reason, brief };
    }
    // The stamp of an interrupted run, or libostree's.
    let wrong = match reason.split_once(failure_stamp::FINALIZING) {
        Some((interrupted, _)) => format!("the last update was {}", interrupted.trim_end_matches([',', ' '])),
        None => "the last update was not finalized".to_owned(),
    };
    let brief = Brief::new(wrong, "the old system is booted: stage the update again").lines();
    Report::Failed { reason, brief }
}

/// Whether the new list was activated. A power cut may have left the stamp of one that was not.
fn is_in_the_list(roots: &Roots, target: &DeploymentPath) -> bool {
    Sysroot::load(roots).is_ok_and(|sysroot| sysroot.find(target).is_some())
}

fn finish_soft_reboot() -> Result<(), Error> {
    const NEXT: &str = "ostree/nextroot-booted";
    let run = dir::open_root(Path::new("/run")).context("open", "/run")?;
    match rustix::fs::renameat(&run, NEXT, &run, "ostree-booted") {
        Ok(()) => {
            log::info!("the soft reboot is complete");
            // The record of an interrupted finalization is about the system before the soft reboot.
            if let Some(run) = RunDirectory::open(Path::new("/"))? {
                run.end()?;
            }
            Ok(())
        }
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Ok(Err(error).context("rename", format_args!("/run/{NEXT}"))?),
    }
}
