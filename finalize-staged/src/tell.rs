//! What the journal and the service manager are told.

pub(crate) mod disk_activity;
pub(crate) mod journal;
pub(crate) mod progress;
