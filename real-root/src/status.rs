//! Exit statuses of the programs.

/// Exit status.
pub type Status = u8;

/// Done, or there was nothing to do.
pub(crate) const SUCCESS: Status = 0;
/// What was asked for is not done, or not all of it.
pub(crate) const FAILED: Status = 1;
/// The program was called wrongly.
pub(crate) const USAGE: Status = 2;
