//! `ostree-prepare-root`: turns a mounted physical root into the root of an OSTree deployment.
//!
//! The same static binary works in an initramfs with systemd, in an initramfs with a script, and as PID 1 without an initramfs.
//! `docs/architecture.md` shows the flow of data: [`read`] only reads, and returns [`facts`]; [`plan`] is pure; [`execute`] decides
//! nothing.

mod args;
mod boot;
mod check_config;
mod execute;
mod exit_status;
mod facts;
mod failed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod inspect;
mod plan;
mod read;
mod show;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use system::log::{Sink, Stderr};

use crate::args::Command;
use crate::boot::{BootRequest, Known};
use crate::execute::pid1;
use crate::exit_status::{FAILED, SUCCESS, USAGE};
use crate::facts::{Caller, SystemdMode};
use crate::failed::{keep, on_failure, report, survey};
use crate::read::caller::caller;

pub use exit_status::Status;

/// The prefix of every message.
const PROGRAM: &str = "ostree-prepare-root";

/// The program, with its arguments after its own name.
pub fn run_program(arguments: Vec<OsString>) -> Status {
    let boots_as_pid1 = std::process::id() == 1 && !arguments.first().is_some_and(|word| args::only_looks(word));
    let command = if boots_as_pid1 { Ok(Command::Init { arguments }) } else { args::parse(arguments) };
    match &command {
        Ok(Command::Init { .. }) => Sink::new(PROGRAM, Stderr::Console, pid1::open_console()),
        Ok(Command::Prepare { .. }) => Sink::of_initramfs(PROGRAM),
        // These commands change nothing, so they do not write to the kernel's log.
        _ => Sink::new(PROGRAM, Stderr::of_this_process(), None),
    }
    .install();
    let command = match command {
        Ok(command) => command,
        Err(error) => {
            log::error!("{error} (see --help)");
            return USAGE;
        }
    };
    match command {
        Command::Prepare { sysroot, cmdline, deployment, systemd } => {
            with_caller(systemd, |caller| prepare(&BootRequest { sysroot, cmdline, deployment, caller, systemd }, &[]))
        }
        Command::Init { arguments } => {
            let (sysroot, caller, systemd) = (PathBuf::from("/"), Caller::Pid1, SystemdMode::No);
            prepare(&BootRequest { sysroot, cmdline: None, deployment: None, caller, systemd }, &arguments)
        }
        Command::Plan { sysroot, cmdline, deployment, systemd, json } => with_caller(systemd, |caller| {
            show::plan(&BootRequest { sysroot, cmdline, deployment, caller, systemd }, json)
        }),
        Command::Verify(request) => show::verdicts(&request),
        Command::CheckConfig { root } => show::findings(check_config::check(&root)),
        Command::Print(text) => show::print(text),
    }
}

/// The caller decides what is mounted, so an unknown caller is an error.
fn with_caller(systemd: SystemdMode, work: impl FnOnce(Caller) -> Status) -> Status {
    match caller(systemd) {
        Ok(caller) => work(caller),
        Err(error) => {
            log::error!("{error}; use --systemd=yes or --systemd=no");
            FAILED
        }
    }
}

fn prepare(request: &BootRequest, init_arguments: &[OsString]) -> Status {
    let mut known = Known::default();
    let Err(mut failure) = request.prepare(&mut known, init_arguments) else { return SUCCESS };
    if request.caller == Caller::Pid1 {
        match pid1::has_pivoted() {
            Ok(true) => failure.sysroot = PathBuf::from("/sysroot"),
            Ok(false) => {}
            Err(error) => log::warn!("{error}"),
        }
    }
    let survey = survey::survey(&failure.sysroot, failure.asked_for.as_ref());
    let whole = report::whole(&failure, &survey);
    log::error!(target: system::log::RECORD, "{whole}");
    let kept = keep::keep(&failure, &whole);
    // Behind the name of the program.
    let used = PROGRAM.len() + ": ".len();
    log::error!(target: system::log::SCREEN, "{}", report::screen(&failure, &survey, used, kept));
    let user_is_present = known.wants_shell || on_failure::runs_by_hand(request.caller);
    let what = on_failure::decide(known.on_failure, user_is_present, known.is_trial);
    on_failure::act(what, known.on_failure.is_some());
    FAILED
}
