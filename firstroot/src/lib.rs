//! `firstroot`: the command for people. What an OSTree system boots next, whether it will come up, and what was changed in `/etc`.
//!
//! [`read`] and [`initramfs`] only read; [`status`], [`check`] and [`etc`] make values of it, which are printed as text or as JSON by
//! [`show`]. Only `etc::restore` and `repair::execute` change something, by plans that were made before.

mod args;
#[cfg(test)]
mod cases;
mod check;
mod esp;
mod etc;
mod exit_status;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod initramfs;
mod place;
mod read;
mod repair;
mod show;
mod status;

use std::ffi::OsString;

use system::log::{Sink, Stderr};

use crate::args::Command;
pub use crate::exit_status::Status;
use crate::exit_status::USAGE;

/// The prefix of every message.
const PROGRAM: &str = "firstroot";

/// The program, with its arguments after its own name.
pub fn run_program(arguments: Vec<OsString>) -> Status {
    Sink::new(PROGRAM, Stderr::of_this_process(), None).install();
    let command = match args::parse(arguments) {
        Ok(command) => command,
        Err(error) => {
            log::error!("{error} (see --help)");
            return USAGE;
        }
    };
    match command {
        Command::Status { root, json } => status::show(root.as_deref(), json),
        Command::Check { root, json } => check::show(root.as_deref(), json),
        Command::Plan { json } => finalize_staged::inspect::print_plan(json),
        Command::EtcStatus { root, json } => etc::status(root.as_deref(), json),
        Command::EtcDiff { root, staged, json, paths } => etc::diff(root.as_deref(), staged, json, &paths),
        Command::EtcRestore { root, staged, discard, json, paths } => {
            etc::restore(root.as_deref(), staged, discard, json, &paths)
        }
        Command::EtcExplain { root, json, path } => etc::explain(root.as_deref(), json, &path),
        Command::Esp { action, json } => esp::run(action, json),
        Command::RepairBootlinks { root, dry_run, json } => repair::bootlinks(root.as_deref(), dry_run, json),
        Command::Print(text) => show::print::text(text),
    }
}
