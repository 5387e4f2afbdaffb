//! Exit statuses.

/// Exit status.
pub type Status = u8;

/// Done.
pub(crate) const SUCCESS: Status = 0;
/// The boot failed, or the configuration is unusable.
pub(crate) const FAILED: Status = 1;
/// The program was called wrongly.
pub(crate) const USAGE: Status = 2;
/// It is unknown whether a deployment is good.
pub(crate) const UNKNOWN: Status = 3;
