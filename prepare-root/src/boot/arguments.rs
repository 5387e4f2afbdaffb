//! What the kernel command line says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use ostree_formats::cmdline::{BootTarget, KernelCommandLine, TargetError};
use system::SystemError;
use system::proc::Proc;

/// The arguments that count: those of the command line that was given, or else of the one that the kernel was booted with.
#[derive(Debug)]
pub(super) struct Arguments {
    pub(super) asked_for: Result<BootTarget, TargetError>,
    /// What `ostree=` says, which counts where the Android slot that is asked for has no link.
    pub(super) otherwise: Option<BootTarget>,
    pub(super) composefs: Option<String>,
    pub(super) init: Option<String>,
    pub(super) wants_shell: bool,
}

impl Arguments {
    /// `given` stands in for the command line of the kernel.
    pub(super) fn read(proc: &Proc, given: Option<&OsStr>) -> Result<Self, SystemError> {
        let booted_with = KernelCommandLine::new(proc.command_line()?);
        let cmdline = match given {
            Some(line) => KernelCommandLine::new(line.as_bytes()),
            None => booted_with.clone(),
        };
        Ok(Self {
            asked_for: cmdline.boot_target(),
            // Where it has no value that could be one, that of Android's arguments is all there is.
            otherwise: cmdline.ostree_target().ok(),
            // Somebody who boots another deployment by hand, and names only that, does not switch a signature off by it.
            composefs: cmdline.composefs().or_else(|| booted_with.composefs()),
            init: cmdline.init().or_else(|| booted_with.init()),
            // Somebody who boots by hand, with a command line of their own, sits there all the same.
            wants_shell: booted_with.wants_shell() || cmdline.wants_shell(),
        })
    }
}
