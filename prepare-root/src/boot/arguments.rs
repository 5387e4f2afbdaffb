//! The kernel arguments that this program uses.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use ostree_formats::cmdline::{BootTarget, KernelCommandLine, TargetError};
use system::SystemError;
use system::proc::Proc;
use system::shell::quoted;

use crate::plan::choice::Choice;

/// The arguments: of the command line that was passed to the program, otherwise of the one that the kernel was booted with.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) asked_for: Result<BootTarget, TargetError>,
    /// The target in `ostree=`: used if the requested Android slot has no link.
    pub(super) otherwise: Option<BootTarget>,
    /// `firstroot.deployment=`, or the option of the program: no link is followed.
    pub(super) choice: Option<Choice>,
    pub(super) composefs: Option<String>,
    pub(super) init: Option<String>,
    pub(super) wants_shell: bool,
    pub(super) is_trial: bool,
}

impl Arguments {
    /// `given` replaces the command line of the kernel, and `deployment` its `firstroot.deployment=`.
    pub(super) fn read(proc: &Proc, given: Option<&OsStr>, deployment: Option<&str>) -> Result<Self, SystemError> {
        let booted_with = KernelCommandLine::new(proc.command_line()?);
        let cmdline = match given {
            Some(line) => KernelCommandLine::new(line.as_bytes()),
            None => booted_with.clone(),
        };
        let by_option = |word: &str| {
            let argument = format!("--deployment {}", quoted(word));
            Choice { word: word.to_owned(), argument, by_option: true }
        };
        let by_argument = |word| Choice { argument: format!("firstroot.deployment={word}"), word, by_option: false };
        Ok(Self {
            choice: deployment.map(by_option).or_else(|| cmdline.deployment().map(by_argument)),
            asked_for: cmdline.boot_target(),
            // If it is unusable, only Android's argument remains.
            otherwise: cmdline.ostree_target().ok(),
            // A command line that only names another deployment must not switch off a signature.
            composefs: cmdline.composefs().or_else(|| booted_with.composefs()),
            init: cmdline.init().or_else(|| booted_with.init()),
            // A user with a command line of their own is still at the machine.
            wants_shell: booted_with.wants_shell() || cmdline.wants_shell(),
            is_trial: booted_with.is_trial() || cmdline.is_trial(),
        })
    }
}
