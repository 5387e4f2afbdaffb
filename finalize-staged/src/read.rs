//! Input that is not on the disk: `/run/ostree`, the environment, systemd's drop-ins.

pub(crate) mod options;
pub(crate) mod run_directory;
pub(crate) mod unit_drop_ins;
