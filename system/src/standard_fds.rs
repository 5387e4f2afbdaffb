//! Standard input, output and error for a PID 1 that was given none.
//!
//! The kernel opens `/dev/console` for PID 1. Where the root filesystem has no `/dev`, it cannot, and PID 1 starts with the
//! descriptors 0, 1 and 2 closed. Rust's runtime then opens `/dev/null` before `main`, and aborts when there is none. So
//! something that needs no filesystem takes their places earlier than that, and the console as soon as there is one.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

/// Whether anything had to be filled in.
static FILLED_IN: AtomicBool = AtomicBool::new(false);

/// Runs before Rust's runtime, in every C library.
#[used]
#[unsafe(link_section = ".init_array")]
// SAFETY: the section holds pointers to functions of the C ABI that return nothing; this is one. It runs once, on the
// only thread, calls nothing but two system calls, and touches no state of Rust's runtime.
static FILL_IN_EARLY: extern "C" fn() = fill_in;

extern "C" fn fill_in() {
    for fd in 0..=2 {
        // SAFETY: asks for the flags of a descriptor, open or not; no memory is involved.
        let closed = unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1;
        if closed {
            // The lowest free number is `fd`, since all below it are open by now.
            // SAFETY: the name is a constant that ends in NUL; the result is a new descriptor that nobody else owns, and it
            // stays open for the life of the process, as a standard descriptor should.
            unsafe { libc::memfd_create(c"no console".as_ptr(), 0) };
            FILLED_IN.store(true, Ordering::Relaxed);
        }
    }
}

/// Puts `console` in the places that were filled in early; does nothing where the kernel had opened one.
///
/// # Errors
/// As `dup2(2)`.
pub fn replace_missing(console: impl AsFd) -> Result<(), Errno> {
    if FILLED_IN.swap(false, Ordering::Relaxed) {
        rustix::stdio::dup2_stdin(&console)?;
        rustix::stdio::dup2_stdout(&console)?;
        rustix::stdio::dup2_stderr(&console)?;
    }
    Ok(())
}
