//! `--hold`: keeps `/boot` in use until shutdown, so that an automounted one is still mounted at finalization.

use rustix::fs::{Mode, OFlags};
use system::{Context, SystemError};

/// Waits until SIGTERM ends this process.
///
/// It installs no handler: a soft reboot sends SIGKILL right after SIGTERM, and a process with a handler may not end in time. Then
/// it is killed and its unit fails.
pub(crate) fn hold() -> Result<(), SystemError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let _boot = rustix::fs::open("/boot", flags, Mode::empty()).context("open", "/boot")?;
    // Finalization finds a GRUB on the ESP only if the ESP is mounted. A missing ESP is not an error.
    let _esp = rustix::fs::open("/boot/efi", flags, Mode::empty());
    loop {
        rustix::event::pause();
    }
}
