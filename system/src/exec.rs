//! Executes another program.
//!
//! `std::process::Command` does this, too, and adds 20 KB for spawning that an initramfs does not need.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use rustix::io::Errno;

/// Replaces this process by `program`, which gets `arguments` after its own name, and the environment of this one.
///
/// Returns only to fail, as `execve(2)`.
pub fn exec(program: &str, arguments: &[OsString]) -> Errno {
    let words = std::iter::once(OsStr::new(program)).chain(arguments.iter().map(OsString::as_os_str));
    let Ok(words) = words.map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<_>, _>>() else {
        return Errno::INVAL;
    };
    let Some(path) = words.first() else { return Errno::INVAL };
    let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    crate::entry::set_broken_pipe_signal(libc::SIG_DFL);
    // SAFETY: `pointers` ends in a null pointer; the others point into `words`, which lives longer than the call, as C
    // strings. execv(3) returns only when it changed nothing.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
