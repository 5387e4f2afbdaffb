//! A failed boot: the cause, what is on the disk, the report, and what happens next.

pub(crate) mod cause;
pub(crate) mod keep;
pub(crate) mod on_failure;
pub(crate) mod report;
pub(crate) mod survey;
