//! The name of the program, and its exit statuses.

/// The prefix of every message.
pub(crate) const PROGRAM: &str = "ostree-finalize-staged";
/// Done, or there was nothing to do.
pub(crate) const SUCCESS: Status = 0;
/// The old system boots next, as before.
pub(crate) const FAILED: Status = 1;
/// The program was called wrongly.
pub(crate) const USAGE: Status = 2;

/// Exit status.
pub type Status = u8;
