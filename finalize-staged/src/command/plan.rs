//! `--plan`: prints what finalization would do now, as text or as JSON. It changes nothing. Without root it prints what it can
//! read.

mod selinux;
mod shown;
mod text;

#[cfg(test)]
mod cases;

use std::path::Path;

use ostree_formats::staged_state::StagedState;
use ostree_sysroot::{Roots, Sysroot, SysrootError, booted};
use rustix::io::Errno;
use system::output;

use crate::error::Error;
use crate::etc_merge::known::Known;
use crate::finalization::{self, Staging};
use crate::handover;
use crate::policy::domain::Domain;
use crate::program::{FAILED, SUCCESS, Status};
use crate::read::options::SysrootOptions;
use crate::read::run_directory::{RunDirectory, StagedNow};

use selinux::ShownSelinux;
use shown::Shown;
use text::text;

/// Prints the plan.
pub(crate) fn show(json: bool) -> Status {
    match look() {
        Ok(shown) => {
            // A closed pipe is not an error.
            let _ = match json {
                true => output::print_json(&(serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n")),
                false => output::print(&text(&shown)),
            };
            SUCCESS
        }
        Err(error) => {
            log::error!("error: {error}");
            FAILED
        }
    }
}

fn look() -> Result<Shown, Error> {
    let root = Path::new("/");
    if !booted::is_booted(root)? {
        return Err(SysrootError::NotBooted.into());
    }
    let Some(run) = RunDirectory::open(root)? else { return Ok(Shown::default()) };
    let (staged, used) = match run.find()? {
        StagedNow::Nothing | StagedNow::Empty => return Ok(Shown::default()),
        StagedNow::Locked => return Ok(Shown { locked: true, ..Shown::default() }),
        StagedNow::Staged { state, used } => (state, used),
        StagedNow::Interrupted(state, _) => (state, true),
    };
    let (options, beside) = (SysrootOptions::of_environment(), run.beside()?);
    let known = Known::from_bytes(&run.known_etc()?);
    let lenient = !rustix::process::geteuid().is_root();
    let staging = Staging { staged: &staged, used, options, beside: &beside, known: &known, lenient };
    let mut shown = look_at(&Roots::at(root)?, &staging)?;
    if let Some(selinux) = &mut shown.selinux {
        selinux.domain = Domain::of_this_process().map(|domain| domain.text());
    }
    Ok(shown)
}

/// The plan for the staged deployment.
fn look_at(roots: &Roots, staging: &Staging<'_>) -> Result<Shown, Error> {
    let StagedState { target, .. } = staging.staged;
    let mut shown = Shown { staged: Some(format!("/{}", target.deployment)), ..Shown::default() };
    if roots.boot_is_fat()? {
        return Err(Error::BootOnFat);
    }
    let sysroot = match handover::sysroot_or_reason(roots) {
        Ok(Ok(sysroot)) => sysroot,
        Ok(Err(reason)) => {
            shown.left_to_ostree = Some(reason);
            return Ok(shown);
        }
        Err(Error::System(error)) if staging.lenient && error.reason == Errno::ACCESS => {
            shown.warnings.push(format!("{error}: run as root to see whether ostree would finalize this"));
            Sysroot::load(roots)?
        }
        Err(error) => return Err(error),
    };
    shown.warnings.extend(sysroot.warnings.iter().cloned());
    let plan = finalization::plan(roots, &sysroot, staging)?;
    shown.selinux = ShownSelinux::of(roots, &plan)?;
    shown.fill(roots, &sysroot, plan)?;
    Ok(shown)
}
