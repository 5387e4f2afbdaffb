//! Messages to the journal and to the service manager.

pub(crate) mod disk_activity;
pub(crate) mod journal;
pub(crate) mod progress;

use system::notify::Manager;

use crate::brief::Brief;

/// An error for `systemctl status`: some short lines, and the status of the service.
pub(crate) fn brief(brief: &Brief) {
    brief.lines().iter().for_each(|line| log::error!("{line}"));
    if let Some(manager) = Manager::of_this_process() {
        manager.tell(&format!("STATUS={}", brief.status()));
    }
}
