//! `ostree-finalize-staged`: at shutdown, makes the staged deployment of an OSTree system the one that boots next.
//!
//! See `docs/architecture.md` for the flow of data. [`read`], [`etc_merge::scan`] and the crate `ostree_sysroot` only read;
//! [`finalization`], [`etc_merge::plan`] and `boot_list::plan` decide; [`execute`], [`etc_merge::execute`] and `boot_list::execute`
//! act. [`command::finalize`] shows the whole finalization; `boot_list::execute::transaction` explains why a power cut does no
//! harm.

mod args;
mod brief;
mod checks;
mod command;
mod error;
mod etc_merge;
mod execute;
mod finalization;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handover;
pub mod inspect;
mod policy;
mod program;
mod read;
mod resume;
mod tell;

use std::ffi::OsString;

use system::log::{Sink, Stderr};

use crate::args::Command;
use crate::command::boot_complete::{self, Report};
use crate::command::{clean, finalize, hold, plan, prepare};
use crate::execute::failure_stamp::FINALIZED_BUT;
use crate::execute::policy::sandbox;
pub use crate::program::Status;
use crate::program::{FAILED, PROGRAM, SUCCESS, USAGE};

/// Runs the program; `arguments` does not contain its name.
pub fn run_program(arguments: Vec<OsString>) -> Status {
    let stderr = Stderr::of_this_process();
    // The journal has a field for the name, and rpm-ostree looks for a line that begins with "error: ".
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
    // All users may read the new files, whatever the umask is.
    system::limits::make_files_for_everybody_to_read();
    let result = match command {
        Command::Finalize(timeouts) => finalize::finalize(timeouts),
        Command::Prepare => prepare::prepare().inspect(|()| tell::warnings(system::log::warnings())),
        Command::Plan { json } => return plan::show(json),
        Command::RebuildPolicy { deployment, work } => return sandbox::outer(&deployment, &work),
        Command::RebuildPolicyInside { deployment, work } => return sandbox::inner(&deployment, &work),
        Command::Hold => hold::hold().map_err(Into::into),
        Command::Clean => clean::clean(),
        Command::BootComplete => match boot_complete::boot_complete() {
            Ok(Report::Failed { reason, brief }) => {
                brief.iter().for_each(|line| log::error!("{line}"));
                // libostree's words: other programs look for them.
                log::error!("error: ostree-finalize-staged.service failed on previous boot: {reason}");
                return FAILED;
            }
            Ok(Report::Remarks(remarks)) => {
                remarks.iter().for_each(|remark| log::warn!("{FINALIZED_BUT}{remark}"));
                Ok(())
            }
            other => other.map(drop),
        },
        Command::Print(text) => {
            // A closed pipe is not an error.
            let _ = system::output::print(text);
            Ok(())
        }
    };
    match result {
        Ok(()) => SUCCESS,
        Err(error) => {
            if stderr == Stderr::Journal {
                tell::brief(&error.brief());
            }
            // The last line: `rpm-ostree status` shows it.
            log::error!("error: {error}");
            FAILED
        }
    }
}
