//! Messages to the journal and to the service manager.

pub(crate) mod disk_activity;
pub(crate) mod journal;
pub(crate) mod progress;

use system::notify::Manager;

use crate::brief::Brief;

/// How many warnings there are, for `systemctl status`, which cuts each of their lines.
pub(crate) fn warnings(count: usize) {
    let text = match count {
        0 => return,
        1 => "1 warning; to read it: journalctl -b -t ostree".to_owned(),
        count => format!("{count} warnings; to read them: journalctl -b -t ostree"),
    };
    if let Some(manager) = Manager::of_this_process() {
        manager.tell(&format!("STATUS=Prepared, with {text}"));
    }
}

/// An error for `systemctl status`: some short lines, and the status of the service.
pub(crate) fn brief(brief: &Brief) {
    brief.lines().iter().for_each(|line| log::error!("{line}"));
    if let Some(manager) = Manager::of_this_process() {
        manager.tell(&format!("STATUS={}", brief.status()));
    }
}
