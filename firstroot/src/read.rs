//! Reads what is shown and judged. What does not exist is a value.

pub(crate) mod digest;
pub(crate) mod journal;
pub(crate) mod menu;
pub(crate) mod policy;
pub(crate) mod programs;
