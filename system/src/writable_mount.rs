//! A filesystem that others have mounted read-only, and that is written to for a moment.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::mount::reconfigure_at;
use crate::watchdog::Watchdog;

/// How often the watchdog tries to make it read-only: that fails while a file on it is open for writing.
const TRIES: u32 = 600;

/// It is writable for as long as this is there. Then it is read-only again, also if this process is killed.
///
/// A child waits for that, with all descriptors of this process: a lock is held for as long. [`crate::program`] must not be told to kill
/// all children meanwhile.
#[derive(Debug)]
pub struct Writable {
    mount: OwnedFd,
    watchdog: Option<Watchdog>,
}

impl Writable {
    /// Makes the filesystem of a mount writable.
    ///
    /// # Errors
    /// As [`reconfigure_at`] and `fork(2)`.
    pub fn make(mount: impl AsFd) -> Result<Self, Errno> {
        let mount = rustix::io::fcntl_dupfd_cloexec(mount, 0)?;
        let tries = Cell::new(0_u32);
        let watchdog = Watchdog::start(|| {
            tries.set(tries.get().saturating_add(1));
            reconfigure_at(&mount, "ro").is_ok() || tries.get() > TRIES
        })?;
        let writable = Self { mount, watchdog: Some(watchdog) };
        reconfigure_at(&writable.mount, "rw")?;
        Ok(writable)
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        // If it is still in use, the watchdog goes on.
        if reconfigure_at(&self.mount, "ro").is_ok()
            && let Some(watchdog) = self.watchdog.take()
        {
            watchdog.dismiss();
        }
    }
}
