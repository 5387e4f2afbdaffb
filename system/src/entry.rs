//! A C `main` instead of Rust's runtime.
//!
//! The kernel opens `/dev/console` for PID 1. If the root filesystem has no `/dev`, PID 1 starts with the descriptors 0, 1 and 2
//! closed. Rust's runtime then opens `/dev/null` before `main`, and aborts if that does not exist. Here, the descriptors are filled
//! with one that needs no filesystem, and with the console as soon as it exists. Without the runtime the program also saves twenty
//! system calls and 60 KB, for a handler of stack overflows.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

/// Defines the C `main` of a program: calls `$main` with the arguments after the program's name, and exits with the status
/// that it returns. The crate must be `#![no_main]`. With `$by_name`, which gets the name that the program was called by, another
/// function may be called instead.
#[macro_export]
macro_rules! entry_point {
    ($main:path) => {
        $crate::entry_point!($main, |_: &[u8]| None);
    };
    ($main:path, $by_name:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(count: ::std::ffi::c_int, words: *const *const ::std::ffi::c_char) -> ::std::ffi::c_int {
            // SAFETY: the C library calls `main` once, with what the kernel gave.
            let (name, arguments) =
                unsafe { ($crate::entry::name(count, words), $crate::entry::arguments(count, words)) };
            let other: Option<fn(::std::vec::Vec<::std::ffi::OsString>) -> u8> = ($by_name)(name);
            ::std::ffi::c_int::from(match other {
                Some(other) => other(arguments),
                None => $main(arguments),
            })
        }
    };
}

/// Whether a standard descriptor had to be filled in.
static FILLED_IN: AtomicBool = AtomicBool::new(false);

/// The name that the program was called by; empty if there is none.
///
/// # Safety
/// As [`arguments`].
pub unsafe fn name<'a>(count: c_int, words: *const *const c_char) -> &'a [u8] {
    if count < 1 {
        return b"";
    }
    // SAFETY: there is at least one word, and by this function's contract the pointer there is to a C string.
    unsafe { CStr::from_ptr(*words) }.to_bytes()
}

/// Prepares a program: opens the standard descriptors if they are closed, and returns the arguments without the name.
///
/// # Safety
/// `words` must point to at least `count` pointers to C strings that live as long as the process, as those of `main` do.
pub unsafe fn arguments(count: c_int, words: *const *const c_char) -> Vec<OsString> {
    fill_in_standard_descriptors();
    let count = usize::try_from(count).unwrap_or(0);
    (1..count)
        .map(|index| {
            // SAFETY: `index` is less than `count`, and by this function's contract the pointer there is to a C string.
            let word = unsafe { CStr::from_ptr(*words.add(index)) };
            OsStr::from_bytes(word.to_bytes()).to_owned()
        })
        .collect()
}

fn fill_in_standard_descriptors() {
    let mut standard = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array has the number of elements that is given, and outlives the call, which does not wait.
    unsafe { libc::poll(standard.as_mut_ptr(), 3, 0) };
    for descriptor in standard {
        if descriptor.revents & libc::POLLNVAL != 0 {
            // The lowest free number is this one, since all below it are open by now.
            // SAFETY: the name is a constant that ends in NUL; the result is a new descriptor without another owner, and it
            // stays open for the life of the process, as a standard descriptor should.
            unsafe { libc::memfd_create(c"no console".as_ptr(), 0) };
            FILLED_IN.store(true, Ordering::Relaxed);
        }
    }
}

/// Call this before writing to a standard descriptor. Then a closed pipe is an error of the write, and does not end this
/// process.
pub(crate) fn survive_broken_pipes() {
    set_broken_pipe_signal(libc::SIG_IGN);
}

/// Sets the effect of a write to a closed pipe. An executed program gets the default again.
pub(crate) fn set_broken_pipe_signal(action: libc::sighandler_t) {
    // SAFETY: both actions that are ever given are constants of the C library; no handler of this program runs.
    unsafe { libc::signal(libc::SIGPIPE, action) };
}

/// Replaces the filled-in descriptors by `console`. Does nothing if the kernel had opened a console.
///
/// # Errors
/// As `dup2(2)`.
pub fn replace_missing_standard_fds(console: impl AsFd) -> Result<(), Errno> {
    if FILLED_IN.swap(false, Ordering::Relaxed) {
        rustix::stdio::dup2_stdin(&console)?;
        rustix::stdio::dup2_stdout(&console)?;
        rustix::stdio::dup2_stderr(&console)?;
    }
    Ok(())
}
