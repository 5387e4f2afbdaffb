//! A boot that failed: why, what is on the disk, what is said of it, and what follows.

pub(crate) mod cause;
pub(crate) mod on_failure;
pub(crate) mod report;
pub(crate) mod survey;
