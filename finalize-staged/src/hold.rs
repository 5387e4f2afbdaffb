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
    loop {
        rustix::event::pause();
    }
}
