//! `ostree-finalize-staged`: at shutdown, makes the staged deployment of an OSTree system the one that boots next.
//!
//! See `docs/architecture.md` for the flow of data. [`sysroot`], [`staged`], [`etc_merge::scan`] and [`boot_files`] only read;
//! [`finalization`], [`etc_merge::plan`], [`deployment_list`] and [`boot_plan`] decide; [`etc_merge::execute`], [`seal`], [`install`],
//! [`transaction`] and [`cleanup`] act. [`run`] tells the story, [`transaction`] why no power cut harms it.

mod args;
mod boot_complete;
mod boot_files;
mod boot_links;
mod boot_plan;
mod cleanup;
mod deployment;
mod deployment_list;
mod disk_activity;
mod durability;
mod error;
mod etc_before;
mod etc_merge;
mod finalization;
mod foreign;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handover;
mod hold;
mod install;
mod kept_files;
mod loader_entries;
mod make_room;
mod messages;
mod old_deployments;
mod prepare;
mod prepared;
mod progress;
mod room;
mod roots;
mod run;
mod sabotage;
mod seal;
mod show;
mod staged;
mod stamp;
mod sysroot;
mod transaction;
mod unit_drop_ins;
mod xfs_directory;

use std::ffi::OsString;

use system::log::{Sink, Stderr};

use crate::args::Command;
use crate::boot_complete::Report;

/// Stands before every message.
const PROGRAM: &str = "ostree-finalize-staged";
/// Done, or nothing to do.
const SUCCESS: Status = 0;
/// The old system boots next, as before.
const FAILED: Status = 1;
/// The program was called wrongly.
const USAGE: Status = 2;

/// Exit status.
pub type Status = u8;

/// The program, with its arguments after its own name.
pub fn run_program(arguments: Vec<OsString>) -> Status {
    let stderr = Stderr::of_this_process();
    // The journal has the name in a field of its own, and rpm-ostree looks there for a line that begins with "error: ".
    let program = if stderr == Stderr::Journal { "" } else { PROGRAM };
    Sink::new(program, stderr, None).install();
    let command = match args::parse(arguments) {
        Ok(command) => command,
        Err(error) => {
            log::error!("error: {error} (see --help)");
            return USAGE;
        }
    };
    // A directory of each tree is open at each level of /etc.
    system::limits::open_as_many_files_as_allowed();
    // What is written is for everybody to read, whoever runs this.
    system::limits::make_files_for_everybody_to_read();
    let result = match command {
        Command::Finalize { lock_timeout } => run::finalize(lock_timeout),
        Command::Prepare => prepare::prepare(),
        Command::Plan { json } => return show::show(json),
        Command::Hold => hold::hold().map_err(Into::into),
        Command::Clean => old_deployments::clean(),
        Command::BootComplete => match boot_complete::boot_complete() {
            Ok(Report::Failed(text)) => {
                // libostree's words, which others look for.
                log::error!("error: ostree-finalize-staged.service failed on previous boot: {text}");
                return FAILED;
            }
            other => other.map(drop),
        },
        Command::Print(text) => {
            // A reader that went away has read what it wanted.
            let _ = system::output::print(text);
            Ok(())
        }
    };
    match result {
        Ok(()) => SUCCESS,
        Err(error) => {
            log::error!("error: {error}");
            FAILED
        }
    }
}
