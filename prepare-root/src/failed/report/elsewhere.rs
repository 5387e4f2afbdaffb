//! The end of a report: which other deployment could be booted, and how.

use ostree_formats::bootlink::by_text;
use ostree_formats::cmdline::TargetError;
use ostree_formats::deployment::DeploymentPath;
use system::shell::quoted;

use super::configuration;
use super::deployment::pattern;
use crate::facts::Caller;
use crate::failed::cause::{Cause, Failure};
use crate::failed::survey::{Survey, Surveyed};
use crate::plan::choice::word_for;

const RESCUE: &str = "choose another entry in the boot menu, or boot a rescue system and check the disk";
const PROGRAM: &str = "/usr/lib/ostree/ostree-prepare-root";
/// What has to be typed is not longer.
const LONGEST: usize = 60;

/// What to do.
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
    let is_prepared = matches!(failure.cause, Cause::PreparedForAnother { .. });
    if is_prepared || configuration::stops_every_link(&failure.cause, failure.caller) {
        return Vec::new();
    }
    let sysroot = failure.sysroot.to_string_lossy();
    // With Android's arguments ostree= is not used.
    if let Some(slot) = failure.asked_for.as_ref().filter(|target| target.source.is_a_slot()) {
        let Some(deployment) = linked_deployment(survey) else { return vec![RESCUE.to_owned()] };
        let name = slot.path.trim_start_matches("/ostree/");
        return vec![repair_slot(failure.caller, &sysroot, name, deployment, survey.digits())];
    }
    let Some(word) = another(failure, survey) else { return vec![RESCUE.to_owned()] };
    let at_boot_menu = format!("in the boot menu choose another entry, or add:\n\tfirstroot.deployment={word}");
    let Some(then) = then(failure.caller) else { return vec![at_boot_menu] };
    let end = format!("{} {}", quoted(&word), quoted(&sysroot));
    let long = format!("{PROGRAM} --deployment {end}");
    let command = if long.len() > LONGEST { format!("{PROGRAM} -d {end}") } else { long };
    vec![at_boot_menu, format!("or in this shell:\n\t{command}\n{then}")]
}

fn then(caller: Caller) -> Option<&'static str> {
    match caller {
        Caller::Systemd => Some("\tsystemctl default"),
        Caller::Script => Some("then switch to the new root"),
        Caller::Pid1 => None,
    }
}

/// A word for a deployment that can be chosen instead: one that is complete, if possible with the modules of the running kernel.
fn another(failure: &Failure, survey: &Survey) -> Option<String> {
    let failed = failure.cause.deployment();
    let possible = |surveyed: &&Surveyed| surveyed.is_complete && Some(&surveyed.listed.path) != failed;
    let word = |surveyed: &Surveyed| word_for(&survey.numbered, &survey.scope, surveyed.number);
    let words = |with_modules: bool| {
        let all = survey.deployments.iter().filter(possible);
        all.filter(move |surveyed| surveyed.has_modules == with_modules).find_map(word)
    };
    words(true).or_else(|| words(false))
}

/// Gives the slot a link to a deployment. Without `sync`, which an initramfs does not have.
fn repair_slot(caller: Caller, sysroot: &str, name: &str, deployment: &DeploymentPath, digits: usize) -> String {
    let beginning = match caller {
        Caller::Systemd | Caller::Script => "in this shell link the slot to a deployment:",
        Caller::Pid1 => "in a rescue system link the slot to a deployment:",
    };
    let directory = format!("{}/ostree", sysroot.trim_end_matches('/'));
    let target = format!("deploy/{}/deploy/{}", quoted(deployment.stateroot.as_str()), pattern(&deployment.id, digits));
    let mut text = format!(
        "{beginning}\n\tmount -o remount,rw {}\n\tcd {}\n\tln -sfn {target} {}",
        quoted(sysroot),
        quoted(&directory),
        quoted(name)
    );
    if let Some(then) = then(caller) {
        text.push_str(&format!("\n\t{PROGRAM} {}\n{then}", quoted(sysroot)));
    }
    text
}

/// The first deployment on the disk that a boot link leads to: one without a link is staged only, or about to be removed.
fn linked_deployment(survey: &Survey) -> Option<&DeploymentPath> {
    survey.boot_links.iter().find_map(|(link, target)| {
        let led_to: DeploymentPath = by_text(link, target).parse().ok()?;
        survey.deployments.iter().map(|surveyed| &surveyed.listed.path).find(|deployment| **deployment == led_to)
    })
}
