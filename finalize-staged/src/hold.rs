//! `--hold`: keeps `/boot` in use until shutdown, so that an automounted one does not go away before finalization.

use rustix::fs::{Mode, OFlags};
use system::{Context, SystemError, signals};

/// Returns when asked to end.
pub(crate) fn hold() -> Result<(), SystemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let _boot = rustix::fs::open("/boot", flags, Mode::empty()).context("open", "/boot")?;
    signals::wait_for_termination();
    Ok(())
}
