//! Messages to the journal and to the service manager.

pub(crate) mod disk_activity;
pub(crate) mod journal;
pub(crate) mod progress;
