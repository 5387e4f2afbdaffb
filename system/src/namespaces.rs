//! Namespaces for another program.

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use crate::mount::make_all_private;

/// Moves this process to a new mount namespace, and its future children to a process table, network, IPC and host names of their own.
/// The first child is PID 1 there: when it ends, the kernel kills everything else in it.
///
/// # Errors
/// As `unshare(2)` and [`make_all_private`].
pub fn enter() -> Result<(), Errno> {
    let flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS | UnshareFlags::NEWNET;
    // SAFETY: only the flag that concerns open files and threads sharing them is a danger, and it is not given.
    unsafe { rustix::thread::unshare_unsafe(flags)? };
    make_all_private()
}
