//! Exit statuses.

/// Exit status.
pub type Status = u8;

/// Done; for `check`: yes.
pub(crate) const SUCCESS: Status = 0;
/// Failed; for `check`: no.
pub(crate) const FAILED: Status = 1;
/// The program was called wrongly.
pub(crate) const USAGE: Status = 2;
/// It cannot be told.
pub(crate) const UNKNOWN: Status = 3;
/// Another program holds the lock of the sysroot: later it may succeed. `EX_TEMPFAIL` of sysexits.h(3head).
pub(crate) const BUSY: Status = 75;
