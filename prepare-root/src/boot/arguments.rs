//! The kernel arguments that this program uses.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use ostree_formats::cmdline::{BootTarget, KernelCommandLine, TargetError};
use system::SystemError;
use system::proc::Proc;

/// The arguments: of the command line that was passed to the program, otherwise of the one that the kernel was booted with.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) asked_for: Result<BootTarget, TargetError>,
    /// The target in `ostree=`: used if the requested Android slot has no link.
    pub(super) otherwise: Option<BootTarget>,
    pub(super) composefs: Option<String>,
    pub(super) init: Option<String>,
    pub(super) wants_shell: bool,
}

impl Arguments {
    /// `given` replaces the command line of the kernel.
    pub(super) fn read(proc: &Proc, given: Option<&OsStr>) -> Result<Self, SystemError> {
        let booted_with = KernelCommandLine::new(proc.command_line()?);
        let cmdline = match given {
            Some(line) => KernelCommandLine::new(line.as_bytes()),
            None => booted_with.clone(),
        };
        Ok(Self {
            asked_for: cmdline.boot_target(),
            // If it is unusable, only Android's argument remains.
            otherwise: cmdline.ostree_target().ok(),
            // A command line that only names another deployment must not switch off a signature.
            composefs: cmdline.composefs().or_else(|| booted_with.composefs()),
            init: cmdline.init().or_else(|| booted_with.init()),
            // A user with a command line of their own is still at the machine.
            wants_shell: booted_with.wants_shell() || cmdline.wants_shell(),
        })
    }
}
