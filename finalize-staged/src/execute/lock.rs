//! The lock of the sysroot, which every program that writes a list of deployments takes.

use std::time::{Duration, Instant};

use ostree_sysroot::Roots;
use rustix::fs::OFlags;
use system::lock::{Lock, Lockable};
use system::{Context, dir};

use crate::error::Error;

/// The time between two attempts.
const PATIENCE: Duration = Duration::from_millis(50);

/// Takes the lock, and waits if another program holds it.
pub(crate) fn lock(roots: &Roots, timeout: Duration, waiting: &dyn Fn()) -> Result<Lock, Error> {
    const LOCK: &str = "/sysroot/ostree/lock";
    let ostree =
        dir::open(&roots.sysroot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/sysroot/ostree")?;
    let mut lockable = Lockable::open(ostree, "lock").context("open", LOCK)?;
    let begin = Instant::now();
    let mut told = false;
    loop {
        lockable = match lockable.try_lock().context("lock", LOCK)? {
            Ok(lock) => return Ok(lock),
            Err(lockable) => lockable,
        };
        let holder = || lockable.holder().map_or_else(|| "another program".to_owned(), |holder| holder.to_string());
        if begin.elapsed() >= timeout {
            return Err(Error::Locked { seconds: timeout.as_secs(), holder: holder() });
        }
        if !told {
            told = true;
            log::info!("waiting for the sysroot lock, which {} holds", holder());
        }
        waiting();
        std::thread::sleep(PATIENCE);
    }
}
