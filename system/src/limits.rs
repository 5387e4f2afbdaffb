//! Limits of this process, and what it gives to what it makes.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of files that can be open at a time to what this process may have. Where that fails it stays what it was.
pub fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Sets the umask that services have (022), for a program that somebody may run by hand with another one.
pub fn make_files_for_everybody_to_read() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}
