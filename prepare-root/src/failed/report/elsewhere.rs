//! The end of a report: which other boot link could be booted, and how.

use ostree_formats::bootlink::by_text;
use ostree_formats::cmdline::{TargetError, TargetSource};
use ostree_formats::deployment::DeploymentPath;
use system::shell::quoted;

use super::configuration;
use crate::facts::Caller;
use crate::failed::cause::{Cause, Failure};
use crate::failed::survey::Survey;
use crate::plan::recovery;

const RESCUE: &str = "choose another entry in the boot menu, or boot a rescue system and check the disk";

/// What to do, one line each.
pub(super) fn actions(failure: &Failure, survey: &Survey) -> Vec<String> {
    if matches!(failure.cause, Cause::Target(TargetError::UnknownSlot(_))) {
        return vec!["correct androidboot.slot_suffix= in the boot loader: it must be _a or _b".to_owned()];
    }
    if matches!(failure.cause, Cause::SysrootIsRoot(_)) {
        return vec![
            "mount the physical root at another directory, and run the program with that directory as SYSROOT"
                .to_owned(),
            "without an initramfs start the program as PID 1 (init=)".to_owned(),
        ];
    }
    if configuration::stops_every_link(&failure.cause, failure.caller) {
        return Vec::new();
    }
    let plain = failure.sysroot.to_string_lossy();
    let sysroot = quoted(&plain);
    let asked = failure.asked_for.as_ref();
    let path = asked.map(|target| target.path.as_str());
    let then = match failure.caller {
        Caller::Systemd => Some("then: systemctl default"),
        Caller::Script => Some("then switch to the new root"),
        Caller::Pid1 => None,
    };
    let program = format!("/usr/lib/ostree/ostree-prepare-root {sysroot}");
    // With Android's arguments ostree= is not used.
    if let Some(slot) = asked.filter(|target| target.source != TargetSource::Ostree) {
        let Some(deployment) = linked_deployment(survey) else { return vec![RESCUE.to_owned()] };
        // Without `sync`, which an initramfs does not have.
        let repair = format!(
            "mount -o remount,rw {sysroot} && ln -sfn {} {}",
            quoted(&recovery::text_of_slot(deployment)),
            quoted(&format!("{}{}", plain.trim_end_matches('/'), slot.path))
        );
        return match then {
            Some(then) => vec![
                format!("in this shell link the slot to a deployment: {repair}"),
                format!("then: {program}"),
                then.to_owned(),
            ],
            None => vec![format!("in a rescue system link the slot to a deployment: {repair}")],
        };
    }
    let another = survey.boot_links.iter().map(|(link, _)| link).find(|link| Some(link.as_str()) != path);
    let Some(link) = another else { return vec![RESCUE.to_owned()] };
    let argument = format!("ostree={link}");
    let mut actions = vec![format!("in the boot menu choose another entry, or change this argument: {argument}")];
    let argument = quoted(&argument);
    if let Some(then) = then {
        actions.extend([format!("or in this shell: {program} {argument}"), then.to_owned()]);
    }
    actions
}

/// The first deployment on the disk that a boot link leads to: one without a link is staged only, or about to be removed.
fn linked_deployment(survey: &Survey) -> Option<&DeploymentPath> {
    survey.boot_links.iter().find_map(|(link, target)| {
        let led_to: DeploymentPath = by_text(link, target).parse().ok()?;
        survey.deployments.iter().map(|(deployment, _)| deployment).find(|deployment| **deployment == led_to)
    })
}
