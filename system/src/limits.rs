//! Limits of this process, and its umask.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to the maximum of this process. If this fails, the limit stays.
pub fn open_as_many_files_as_allowed() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Sets the umask of services (022), because a user may run the program by hand with another one.
pub fn make_files_for_everybody_to_read() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
}
