//! `--hold`: keeps `/boot` in use until shutdown, so that an automounted one does not go away before finalization.

use rustix::fs::{Mode, OFlags};
use system::{Context, SystemError};

/// Stays until SIGTERM ends this process.
///
/// That signal is left as it is: a soft reboot sends SIGKILL right after it to all that still runs, and a process that would have to
/// wake up first to end by itself is found killed, its unit failed.
pub(crate) fn hold() -> Result<(), SystemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let _boot = rustix::fs::open("/boot", flags, Mode::empty()).context("open", "/boot")?;
    // Whether GRUB is on the ESP is seen at shutdown only if that is mounted then. Where there is none, there is nothing to hold.
    let _esp = rustix::fs::open("/boot/efi", flags, Mode::empty());
    loop {
        rustix::event::pause();
    }
}
