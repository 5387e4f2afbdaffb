//! `esp make-default`: after a rollback, the deployment that boots instead becomes the default, so that every program tells the truth,
//! and every boot loader falls back. Nothing is removed from the list.

use std::time::Duration;

use boot_list::execute::cleanup;
use boot_list::execute::journal;
use boot_list::execute::transaction::{self, Sources};
use boot_list::loader::{ask::ask, chosen, older_menu};
use boot_list::plan::list::with_first;
use boot_list::plan::{self};
use boot_list::watcher::{MenuIsOld, Phase, Watcher};
use esp_projection::assessment::{Assessment, State};
use finalize_staged::inspect::{self, Verdict};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_contents::{self, Beside};
use ostree_sysroot::deployment::{self, Deployment};
use ostree_sysroot::{Roots, Sysroot};
use selinux_policy::Labels;

use super::assess;
use super::counted::Counted;
use super::failure::Failure;
use super::opened::{Locked, NOTHING_TO_DO, Opened, Whose, text};
use super::trial;

/// How long a program may take that writes GRUB's menu.
const GRUB_LIMIT: Duration = Duration::from_secs(120);

pub(super) fn make_default() -> Result<(), Failure> {
    if let Some(opened) = Opened::open("esp make-default", Whose::OfTheConfigurationWithTheList)? {
        let assessment = assess::of(&opened)?;
        if !is_to_be_default(&opened.locked, &assessment)? {
            return Ok(());
        }
        let booted = opened.locked.sysroot.booted.clone();
        make(opened, &booted)?;
        told(&booted);
        return Ok(());
    }
    if let Some(counted) = Counted::open("esp make-default", true)? {
        let assessment = counted.assess();
        if !is_to_be_default(&counted.locked, &assessment)? {
            return Ok(());
        }
        let booted = counted.locked.sysroot.booted.clone();
        let counted = make_counted(counted, &booted)?;
        if let Some(from) = &assessment.from {
            counted.say(from, Verdict::Forgotten)?;
        }
        told(&booted);
        return Ok(());
    }
    log::info!("{NOTHING_TO_DO}");
    Ok(())
}

/// Whether this is the boot after a rollback, and a good one.
fn is_to_be_default(locked: &Locked, assessment: &Assessment) -> Result<bool, Failure> {
    if !locked.settings.make_default {
        log::info!("the list stays as it is: [rollback] make-default=no");
        return Ok(false);
    }
    if assessment.state != State::RolledBack {
        log::info!("nothing to do: this boot is {}", assessment.state);
        return Ok(false);
    }
    // It may be broken, too.
    trial::is_good()
        .map_err(|error| format!("the list stays as it is, since this boot is not good either: {error}"))?;
    Ok(true)
}

fn told(booted: &DeploymentPath) {
    log::info!("/{booted} is the default now, since what was rolled back did not come up");
}

/// Makes a deployment of the list the default, in `/boot` and then on the ESP.
pub(super) fn make(opened: Opened, deployment: &DeploymentPath) -> Result<Opened, Failure> {
    make_first(&opened.locked.place.roots, deployment)?;
    let mut opened = opened.read_again()?;
    let steps = opened.projection.plan().map_err(text)?;
    opened.execute(&steps)?;
    opened.read_again()
}

/// Makes a deployment of the list the default in `/boot`, unless it is, also in a menu of GRUB that an initramfs has exchanged.
pub(super) fn make_counted(counted: Counted, deployment: &DeploymentPath) -> Result<Counted, Failure> {
    let is_first = counted.locked.sysroot.deployments.first().is_some_and(|first| first.path == *deployment);
    if is_first && !older_menu::is_active(&counted.locked.place.roots) {
        return Ok(counted);
    }
    make_first(&counted.locked.place.roots, deployment)?;
    Ok(Counted { locked: counted.locked.read_again()?, ..counted })
}

fn make_first(roots: &Roots, deployment: &DeploymentPath) -> Result<(), Failure> {
    let sysroot = match inspect::writable_list(roots)? {
        Ok(sysroot) => sysroot,
        Err(reason) => {
            let text = format!("{reason}; to make /{deployment} the default: ostree admin set-default INDEX");
            return Err(text.into());
        }
    };
    if sysroot.find(deployment).is_none() {
        return Err(format!("/{deployment} is in no entry of /boot: to boot it by default, deploy it again").into());
    }
    put_first(roots, sysroot, deployment)
}

/// Nothing is cleaned up: every deployment of the list stays in it, and a deployment that is staged is in no list. The next update, or
/// `ostree admin cleanup`, removes the old entries and boot links.
fn put_first(roots: &Roots, sysroot: Sysroot, first: &DeploymentPath) -> Result<(), Failure> {
    let mut list = with_first(&sysroot, first);
    for listed in &mut list {
        let warnings = listed.deployment.read_tree_of_one_that_stays(roots).map_err(text)?;
        warnings.iter().for_each(|warning| log::warn!("{warning}"));
    }
    let plan = if older_menu::is_active(roots) { plan::plan_anew } else { plan::plan };
    let mut plan = plan(&sysroot, inspect::naming(), list);
    ask(roots, &sysroot, &mut plan).map_err(text)?;
    plan.loader_warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let beside = Beside::default();
    let deployments: Vec<&Deployment> = plan.list.iter().map(|listed| &listed.deployment).collect();
    let files = boot_contents::survey(roots, &beside, &deployments, &plan.overlays).map_err(text)?;
    let labels = deployment::open(roots, first).and_then(|directory| Labels::of(directory, None)).map_err(text)?;
    let loader = chosen::of(&plan, GRUB_LIMIT);
    let sources = Sources { overlays: None, labels: &labels };
    transaction::run(roots, &*loader, sources, &plan, &files, &mut Told).map_err(text)?;
    journal::complete(&sysroot, &plan);
    if let Err(error) = cleanup::bump(roots) {
        log::warn!("{error}");
    }
    Ok(())
}

/// Tells of an old menu, and of nothing else.
struct Told;

impl Watcher for Told {
    fn enter(&mut self, _: Phase) {}
    fn step(&mut self) {}
    fn menu_is_old(&mut self, why: &MenuIsOld) {
        log::warn!("GRUB's menu is the old one: {}; to write the new one: `{}`", why.reason, why.command);
    }
    fn menu_is_new(&mut self, _: &Roots) {}
    fn swapped(&mut self, _: &Roots) {}
}
