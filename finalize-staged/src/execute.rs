//! Code that changes the disk and `/run`. It decides nothing.

pub(crate) mod attempts;
mod boot_filesystem;
pub(crate) mod esp;
pub(crate) mod etc_before;
pub(crate) mod failure_stamp;
pub(crate) mod finish_deployment;
pub(crate) mod lock;
pub(crate) mod make_room;
pub(crate) mod merge;
pub(crate) mod policy;
pub(crate) mod slices;
pub(crate) mod temporary;
pub(crate) mod var_labels;
pub(crate) mod watch;
pub(crate) mod writable_roots;
