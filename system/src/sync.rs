//! Durability: written data is on the disk, and visible to a boot loader that does not replay a journal.
//!
//! `syncfs(2)` writes everything out, but on ext4 and XFS part of it only into the journal. GRUB and others do not replay
//! journals. Freezing a filesystem (`FIFREEZE`) empties its journal, and thawing it makes it usable again.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::ioctl::Opcode;

use crate::watchdog::Watchdog;

/// `_IOWR('X', 119, int)` and `_IOWR('X', 120, int)` of `<linux/fs.h>`.
const FIFREEZE: Opcode = rustix::ioctl::opcode::read_write::<libc::c_int>(b'X', 119);
const FITHAW: Opcode = rustix::ioctl::opcode::read_write::<libc::c_int>(b'X', 120);

/// Whether a filesystem was frozen and thawed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// Its journal is empty.
    Done,
    /// It cannot be frozen: only `syncfs(2)` was done.
    Unsupported,
}

/// Writes out the filesystem that `fd` is on.
///
/// # Errors
/// As `syncfs(2)`.
pub fn filesystem(fd: impl AsFd) -> Result<(), Errno> {
    rustix::fs::syncfs(fd)
}

/// Writes out the filesystem that `fd` is on, and empties its journal, by freezing and thawing it.
///
/// A child process with its own descriptor watches this one: if this process dies in between, the child thaws the filesystem. The
/// child has its own session and ignores every signal that can be ignored. Until this returns nothing is logged and nothing else is
/// done, because every write to a frozen filesystem blocks.
///
/// # Errors
/// As `syncfs(2)`, `fork(2)` and the ioctls; the filesystem is thawed then.
pub fn through_the_journal(fd: impl AsFd) -> Result<Freeze, Errno> {
    let fd = fd.as_fd();
    // Most of the data is written while other programs can still write.
    filesystem(fd)?;
    let watchdog = Watchdog::start(|| thaw(fd).is_ok())?;
    let frozen = filesystem_ioctl(fd, FIFREEZE);
    let thawed = match frozen {
        Ok(()) => thaw(fd),
        Err(_) => Ok(()),
    };
    // If it could not be thawed, the watchdog is not dismissed and keeps trying.
    if thawed.is_ok() {
        watchdog.dismiss();
    } else {
        drop(watchdog);
    }
    match frozen.and(thawed) {
        Ok(()) => Ok(Freeze::Done),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::PERM | Errno::NOSYS) => Ok(Freeze::Unsupported),
        // Another program froze it, for example for a snapshot: everything written before is on the disk.
        Err(Errno::BUSY) => Ok(Freeze::Unsupported),
        Err(error) => Err(error),
    }
}

/// Undoes `FIFREEZE`. It is not an error if another program has done so.
fn thaw(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match filesystem_ioctl(fd, FITHAW) {
        Err(Errno::INVAL) => Ok(()),
        other => other,
    }
}

fn filesystem_ioctl(fd: BorrowedFd<'_>, opcode: Opcode) -> Result<(), Errno> {
    // SAFETY: both opcodes take no argument that the kernel reads or writes; a descriptor of another kind is an error.
    unsafe { rustix::ioctl::ioctl(fd, NoArgument(opcode)) }
}

/// One of the two ioctls; `rustix::ioctl::NoArg` wants its opcode at compile time.
struct NoArgument(Opcode);

// SAFETY: the kernel uses neither the pointer nor the result of these two.
unsafe impl rustix::ioctl::Ioctl for NoArgument {
    type Output = ();
    const IS_MUTATING: bool = false;
    fn opcode(&self) -> Opcode {
        self.0
    }
    fn as_ptr(&mut self) -> *mut rustix::ffi::c_void {
        std::ptr::null_mut()
    }
    unsafe fn output_from_ptr(
        _: rustix::ioctl::IoctlOutput,
        _: *mut rustix::ffi::c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(())
    }
}
