//! What this process must undo, if it dies before it has done so: a child process waits for that.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;

/// How long the child waits between two calls, in microseconds.
const PAUSE: libc::useconds_t = 100_000;

/// The child. It has its own session and ignores every signal that can be ignored.
#[derive(Debug)]
pub(crate) struct Watchdog {
    process: libc::pid_t,
    /// The child reads from the other end: a byte means success, end of file means that this process is dead.
    pipe: OwnedFd,
}

impl Watchdog {
    /// Starts it. If this process dies, or drops this, the child calls `undo` again and again until it returns `true`.
    ///
    /// `undo` makes system calls and does nothing else: what another thread holds is held for ever in the child.
    pub(crate) fn start(undo: impl Fn() -> bool) -> Result<Self, Errno> {
        crate::entry::survive_broken_pipes();
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        // SAFETY: the child makes system calls, `undo` included (see above), none of which allocates or takes a lock of this process,
        // and leaves by _exit(2); so it does not matter which threads there are.
        match unsafe { libc::fork() } {
            -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
            0 => watch(&undo, &reader, &writer),
            process => Ok(Self { process, pipe: writer }),
        }
    }

    /// There is nothing to undo any more: the child ends.
    pub(crate) fn dismiss(self) {
        // If the child is dead already, there is nothing left to do.
        let _ = rustix::io::write(&self.pipe, b"!");
        // SAFETY: the process is a child of this one that nothing else waits for; a null pointer asks for no status.
        unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) };
    }
}

/// The child: waits until its parent succeeds or dies.
fn watch(undo: &dyn Fn() -> bool, reader: &OwnedFd, writer: &OwnedFd) -> ! {
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
        while !undo() {
            // SAFETY: waits for a tenth of a second.
            unsafe { libc::usleep(PAUSE) };
        }
    }
    // SAFETY: leaves without running anything of the parent's.
    unsafe { libc::_exit(0) }
}
