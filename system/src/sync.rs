//! Durability: what is written is on the disk, and where a boot loader reads it without replaying a journal.
//!
//! `syncfs(2)` writes everything out, but on ext4 and XFS part of it only into the journal. GRUB and others do not replay
//! journals. Freezing a filesystem (`FIFREEZE`) empties its journal, and thawing it makes it usable again.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::Opcode;

/// `_IOWR('X', 119, int)` and `_IOWR('X', 120, int)` of `<linux/fs.h>`.
const FIFREEZE: Opcode = rustix::ioctl::opcode::read_write::<libc::c_int>(b'X', 119);
const FITHAW: Opcode = rustix::ioctl::opcode::read_write::<libc::c_int>(b'X', 120);

/// Whether a filesystem was frozen and thawed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// Its journal is empty.
    Done,
    /// It has no such thing: `syncfs(2)` is all there is.
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
/// A process of its own watches over this one, with a descriptor of its own: should this one die in between, it thaws. It is
/// in a session of its own and ignores every signal that can be ignored. Until this returns nothing is logged and nothing else
/// is done: whoever writes to a frozen filesystem waits.
///
/// # Errors
/// As `syncfs(2)`, `fork(2)` and the ioctls; the filesystem is thawed then.
pub fn through_the_journal(fd: impl AsFd) -> Result<Freeze, Errno> {
    let fd = fd.as_fd();
    // Most of the writing is done while others can still write.
    filesystem(fd)?;
    let watchdog = Watchdog::start(fd)?;
    let frozen = filesystem_ioctl(fd, FIFREEZE);
    let thawed = match frozen {
        Ok(()) => thaw(fd),
        Err(_) => Ok(()),
    };
    // One that could not be thawed is left to the watchdog, which goes on trying when it is not dismissed.
    if thawed.is_ok() {
        watchdog.dismiss();
    } else {
        drop(watchdog);
    }
    match frozen.and(thawed) {
        Ok(()) => Ok(Freeze::Done),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::PERM | Errno::NOSYS) => Ok(Freeze::Unsupported),
        // Somebody else froze it, to take a snapshot, say: all that was written before is where it should be.
        Err(Errno::BUSY) => Ok(Freeze::Unsupported),
        Err(error) => Err(error),
    }
}

/// Undoes `FIFREEZE`; that somebody has done so is no error.
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

/// A child process that thaws when its parent is gone.
struct Watchdog {
    process: libc::pid_t,
    /// The child reads from the other end: a byte means that all is well, the end that this process is dead.
    pipe: OwnedFd,
}

impl Watchdog {
    fn start(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        crate::entry::survive_broken_pipes();
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // SAFETY: the child calls nothing but system calls, none of which allocates or takes a lock of this process, and
        // leaves by _exit(2); so it does not matter which threads there are.
        match unsafe { libc::fork() } {
            -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
            0 => watch(fd, &reader, &writer),
            process => Ok(Self { process, pipe: writer }),
        }
    }

    /// The filesystem is thawed: the child ends.
    fn dismiss(self) {
        // It is there, or it is not: nothing is left to be done either way.
        let _ = rustix::io::write(&self.pipe, b"!");
        // SAFETY: the process is a child of this one that nobody else waits for; a null pointer asks for no status.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
    }
}

/// The child: waits for its parent's word or end.
fn watch(fd: BorrowedFd<'_>, reader: &OwnedFd, writer: &OwnedFd) -> ! {
    // SAFETY: system calls with constants and descriptors of this process. The set of signals is initialised by sigfillset(3)
    // before it is read. `writer` is never used again here: the child's copy must be closed, or the pipe has no end.
    unsafe {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut());
        libc::setsid();
        libc::close(writer.as_raw_fd());
    }
    let mut byte = [0u8; 1];
    let count = loop {
        match rustix::io::read(reader, &mut byte) {
            Err(Errno::INTR) => {}
            Ok(count) => break count,
            Err(_) => break 0,
        }
    };
    if count == 0 {
        while thaw(fd).is_err() {
            // SAFETY: waits for a tenth of a second.
            unsafe { libc::usleep(100_000) };
        }
    }
    // SAFETY: leaves without running anything of the parent's.
    unsafe { libc::_exit(0) }
}
