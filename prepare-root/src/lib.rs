//! `ostree-prepare-root`: turns a mounted physical root into the root of an OSTree deployment.
//!
//! One static binary for an initramfs with systemd, one with a script, and for PID 1 without an initramfs. See
//! `docs/architecture.md` for the flow of data: everything left of [`plan`] only reads, [`execute`] only does.

mod args;
mod check_config;
mod composefs;
mod config;
mod execute;
mod facts;
mod failure;
mod fstab;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod interrupted;
mod lookup;
mod on_failure;
mod physical_root;
mod pid1;
mod plan;
mod program;
mod recovery;
mod report;
mod run;
mod show;
mod signature;
mod step;
mod survey;
mod target;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;

use system::log::{Sink, Stderr};

use crate::args::Command;
use crate::facts::Situation;
use crate::run::{Known, Request};

/// Stands before every message.
const PROGRAM: &str = "ostree-prepare-root";
/// Done.
const SUCCESS: Status = 0;
/// The boot failed, or the configuration is unusable.
const FAILED: Status = 1;
/// The program was called wrongly.
const USAGE: Status = 2;
/// Nobody here can tell whether a deployment is good.
const UNKNOWN: Status = 3;

/// Exit status.
pub type Status = u8;

/// The program, with its arguments after its own name.
pub fn run_program(arguments: Vec<OsString>) -> Status {
    let boots_as_pid1 = std::process::id() == 1 && !arguments.first().is_some_and(|word| args::only_looks(word));
    let command = if boots_as_pid1 { Ok(Command::Init { arguments }) } else { args::parse(arguments) };
    match &command {
        Ok(Command::Init { .. }) => Sink::new(PROGRAM, Stderr::Console, pid1::open_console()),
        Ok(Command::Prepare { .. }) => Sink::of_this_process(PROGRAM),
        // Whoever only looks does not write to the kernel's log.
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
        Command::Prepare { sysroot, cmdline, systemd } => {
            prepare(&Request { sysroot, cmdline, situation: run::situation(systemd) }, &[])
        }
        Command::Init { arguments } => {
            let request = Request { sysroot: PathBuf::from("/"), cmdline: None, situation: Situation::Pid1 };
            prepare(&request, &arguments)
        }
        Command::Plan { sysroot, cmdline, systemd, json } => {
            show::plan(&Request { sysroot, cmdline, situation: run::situation(systemd) }, json)
        }
        Command::Verify(request) => show::verdicts(&request),
        Command::CheckConfig { root } => show::findings(check_config::check(&root)),
        Command::Print(text) => show::print(text),
    }
}

fn prepare(request: &Request, init_arguments: &[OsString]) -> Status {
    let mut known = Known::default();
    let Err(mut failure) = request.prepare(&mut known, init_arguments) else { return SUCCESS };
    if request.situation == Situation::Pid1 && pid1::has_pivoted() {
        failure.sysroot = PathBuf::from("/sysroot");
    }
    log::error!(target: system::log::LINES, "{}", report::report(&failure, &survey::survey(&failure.sysroot)));
    let somebody_is_there = known.wants_shell || on_failure::runs_by_hand(request.situation);
    on_failure::act(on_failure::decide(known.on_failure, somebody_is_there));
    FAILED
}
