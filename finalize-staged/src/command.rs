//! One file for each command.

pub(crate) mod boot_complete;
pub(crate) mod clean;
pub(crate) mod finalize;
pub(crate) mod hold;
pub(crate) mod plan;
pub(crate) mod prepare;
