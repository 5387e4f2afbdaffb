//! The end of a report: which other boot link could be booted, and how.

use ostree_formats::cmdline::{Asked, TargetError};
use system::shell::quoted;

use super::configuration;
use crate::facts::Situation;
use crate::failure::{Cause, Failure};
use crate::survey::Survey;

const RESCUE: &str = "at the boot menu choose another entry, or boot a rescue system and look at the disk";

/// What to do, one line each.
pub(super) fn actions(failure: &Failure, survey: &Survey) -> Vec<String> {
    if matches!(failure.cause, Cause::Target(TargetError::UnknownSlot(_))) {
        return vec!["correct androidboot.slot_suffix= in the boot loader: it is _a or _b".to_owned()];
    }
    if matches!(failure.cause, Cause::SysrootIsRoot(_)) {
        return vec![
            "mount the physical root at another directory, and call the program with that".to_owned(),
            "without an initramfs start the program as PID 1 (init=)".to_owned(),
        ];
    }
    if configuration::stops_every_link(&failure.cause, failure.situation) {
        return Vec::new();
    }
    let plain = failure.sysroot.to_string_lossy();
    let sysroot = quoted(&plain);
    let asked = failure.asked_for.as_ref();
    let path = asked.map(|target| target.path.as_str());
    let another = survey.boot_links.iter().map(|(link, _)| link).find(|link| Some(link.as_str()) != path);
    let Some(link) = another else { return vec![RESCUE.to_owned()] };
    let then = match failure.situation {
        Situation::Systemd => Some("systemctl default"),
        Situation::Script => Some("switch root"),
        Situation::Pid1 => None,
    };
    let program = format!("/usr/lib/ostree/ostree-prepare-root {sysroot}");
    match asked.filter(|target| target.asked != Asked::Ostree) {
        // With Android's arguments ostree= does not count.
        Some(slot) => {
            let repair = format!(
                "mount -o remount,rw {sysroot} && ln -sfn {} {} && sync",
                quoted(&format!("..{link}")),
                quoted(&format!("{}{}", plain.trim_end_matches('/'), slot.path))
            );
            match then {
                Some(then) => vec![
                    format!("in this shell give the slot a link that is whole: {repair}"),
                    format!("then: {program}, then {then}"),
                ],
                None => vec![format!("in a rescue system give the slot a link that is whole: {repair}")],
            }
        }
        None => {
            let mut actions = vec![format!("at the boot menu choose another entry, or edit this one: ostree={link}")];
            let argument = format!("ostree={link}");
            let argument = quoted(&argument);
            actions.extend(then.map(|then| format!("or in this shell: {program} {argument}, then {then}")));
            actions
        }
    }
}
