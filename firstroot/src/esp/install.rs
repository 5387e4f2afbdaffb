//! `esp install`, `esp uninstall`, and `esp confirm`, which a unit runs when a boot through systemd-boot was good.

use std::os::fd::{AsFd, OwnedFd};

use esp_projection::assessment::State;
use esp_projection::execute::{self, Places, Sources};
use esp_projection::firmware::guid;
use esp_projection::further::{Further, Work};
use esp_projection::install::{self, CONFIGURATION, Change, Configuration, Facts};
use esp_projection::plan::removal;
use esp_projection::read::{drive, installed, partition, variables};
use esp_projection::settings::{FILES, Settings};
use esp_projection::target::in_clusters;
use serde::Serialize;
use system::program::Program;

use super::failure::{self, Failure};
use super::opened::{Opened, Whose, text};
use super::{assess, trial};
use crate::exit_status::{SUCCESS, Status};
use crate::place::Place;
use crate::show::page::{Page, Style};
use crate::show::print;

/// What would have been started at boot, if `esp.conf` had been there.
const UNITS: [&[u8]; 2] = [b"firstroot-esp.path", b"firstroot-esp-shutdown.service"];

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Changed {
    partition: String,
    changes: Vec<String>,
    /// Files that stay, with the reason.
    left: Vec<String>,
    done: bool,
}

pub(super) fn install(dry_run: bool, json: bool) -> Status {
    show(installed_now(dry_run), json, "installed: the next boot tries systemd-boot, and if it is good, all boots do")
}

pub(super) fn uninstall(dry_run: bool, anyway: bool, json: bool) -> Status {
    show(uninstalled(dry_run, anyway), json, "uninstalled: the firmware starts what it started before")
}

/// A boot that was good makes systemd-boot the first one.
pub(super) fn confirm() -> Status {
    failure::report(confirmed())
}

fn show(changed: Result<Changed, Failure>, json: bool, done: &str) -> Status {
    let mut status = SUCCESS;
    let printed = changed.map(|changed| status = print::print(&changed, json, |page| page_of(&changed, done, page)));
    match failure::report(printed) {
        SUCCESS => status,
        failed => failed,
    }
}

fn page_of(changed: &Changed, done: &str, page: &mut Page) {
    for change in &changed.changes {
        page.line(0, Style::Plain, change);
    }
    for left in &changed.left {
        page.labelled(0, 6, Style::Warning, "stays", left);
    }
    if changed.changes.is_empty() {
        page.line(0, Style::Good, "nothing to do");
    } else if changed.done {
        page.line(0, Style::Good, done);
    }
}

fn installed_now(dry_run: bool) -> Result<Changed, Failure> {
    let (mut opened, directory) = open("esp install")?;
    if opened.projection.is_xbootldr {
        let esp = opened.projection.beside.as_ref().map(|esp| format!(" {}", esp.path)).unwrap_or_default();
        let text = format!(
            "{} is an XBOOTLDR partition, and the boot loader must be on the ESP{esp}: bootctl install puts it there; then firstroot esp sync",
            opened.projection.path
        );
        return Err(text.into());
    }
    let mut facts = facts(&opened, &directory)?;
    // What else is written first must leave room for the kernels.
    let target = &mut opened.projection.target;
    let size = u64::try_from(facts.program.content.len()).unwrap_or(u64::MAX);
    target.free = target.free.saturating_sub(in_clusters(size, target.cluster).saturating_add(8 * target.cluster));
    facts.projection = opened.projection.plan().map_err(text)?;
    let changes = install::install(&facts).map_err(text)?;
    if opened.projection.list.deployments.first().is_some_and(|default| !default.can_bless) {
        log::warn!("the default deployment has no firstroot: when it runs, nothing keeps the ESP as /boot is");
    }
    let changed = changed(&opened, &changes, Vec::new(), dry_run);
    if !dry_run {
        carry_out(&mut opened, &directory, &changes)?;
        opened.further(Work::Project);
        start_units();
    }
    Ok(changed)
}

fn uninstalled(dry_run: bool, anyway: bool) -> Result<Changed, Failure> {
    let (mut opened, directory) = open("esp uninstall")?;
    let facts = facts(&opened, &directory)?;
    let entries = removal(&opened.projection.list, &opened.projection.target);
    let removal = install::uninstall(&facts, &entries, anyway).map_err(text)?;
    let mut changed = changed(&opened, &removal.changes, removal.left, dry_run);
    if !dry_run {
        carry_out(&mut opened, &directory, &removal.changes)?;
    }
    for Further { path, steps, .. } in opened.further(if dry_run { Work::PlanRemoval } else { Work::Remove }) {
        changed.changes.extend(steps.iter().flatten().map(|step| format!("{step}, on the further ESP {path}")));
    }
    Ok(changed)
}

fn confirmed() -> Result<(), Failure> {
    let place = Place::open(None, "esp confirm").map_err(text)?;
    let system = place.roots.system.as_fd();
    let settings = Settings::read(system)?;
    let Some(directory) = variables::open(system).map_err(text)?.filter(|_| settings.enabled) else { return Ok(()) };
    let name = installed::program_name(installed::architecture(system).map_err(text)?);
    let file = format!("\\{}\\{name}", install::PROGRAMS.replace('/', "\\"));
    let target = partition::find(system, place.roots.sysroot.as_fd(), settings.partition.as_deref(), &settings.also)
        .map_err(text)?;
    let Some(uuid) = drive::uuid(system, &target).map_err(text)? else { return Ok(()) };
    let firmware = variables::firmware(directory.as_fd()).map_err(text)?;
    let Some(number) = install::confirmable(&firmware, &uuid, &file) else {
        log::debug!("nothing to confirm");
        return Ok(());
    };
    let Some(change) = install::confirm(&firmware, &uuid, &file) else {
        if firmware.next.is_none() {
            let shown = firmware.shown(number);
            log::warn!(
                "the firmware did not start {shown}, or it failed: what booted before stays the first; firstroot esp install tries it again"
            );
        }
        return Ok(());
    };
    trial::is_good().map_err(|error| format!("this boot is not good, so the boot loader is not confirmed: {error}"))?;
    let Some(mut opened) = Opened::open("esp confirm", Whose::OfTheConfiguration)? else { return Ok(()) };
    let assessment = assess::of(&opened)?;
    let of_loader = |name| variables::of_loader(opened.locked.system.as_fd(), name).map_err(text);
    let is_target = of_loader("LoaderDevicePartUUID")?.and_then(|text| guid(&text)) == Some(uuid);
    let token = opened.projection.list.token.as_str();
    let is_ours = of_loader("LoaderEntrySelected")?.is_some_and(|id| id.starts_with(token));
    if assessment.state != State::Good || !is_target || !is_ours {
        log::info!("this boot is {}: it confirms no boot loader", assessment.state);
        return Ok(());
    }
    carry_out(&mut opened, &directory, &[change])?;
    log::info!("this boot was good: the firmware starts {} first from now on", firmware.shown(number));
    Ok(())
}

fn open(command: &'static str) -> Result<(Opened, OwnedFd), Failure> {
    let opened = Opened::open(command, Whose::InAnyCase)?;
    let opened = opened.ok_or_else(|| "there is no ESP".to_owned())?;
    let directory = variables::open(opened.locked.system.as_fd()).map_err(text)?.ok_or_else(|| {
        "this machine was not booted by UEFI, or efivarfs is not mounted (mount -t efivarfs efivarfs /sys/firmware/efi/efivars)"
            .to_owned()
    })?;
    Ok((opened, directory))
}

fn facts(opened: &Opened, directory: &OwnedFd) -> Result<Facts, Failure> {
    let system = opened.locked.system.as_fd();
    let firmware = variables::firmware(directory.as_fd()).map_err(text)?;
    let architecture = installed::architecture(system).map_err(text)?;
    let program = installed::program(system, architecture, firmware.is_secure).map_err(text)?;
    let program = program.ok_or_else(|| {
        let name = installed::program_name(architecture);
        format!("this system has no /usr/lib/systemd/boot/efi/{name}: add systemd-boot to its image (Debian: systemd-boot-efi, Fedora: systemd-boot-unsigned)")
    })?;
    let projection = &opened.projection;
    let drive = drive::drive(system, &projection.partition).map_err(text)?;
    let drive = drive.ok_or_else(|| {
        format!(
            "{} is no partition of a GPT (an MBR, a RAID, a volume): the firmware cannot be told to start a boot loader on it",
            projection.path
        )
    })?;
    // The boot loader of the ESP beside an XBOOTLDR partition boots nothing without the entries there, either.
    let also = opened.locked.settings.also.iter().filter_map(|wanted| partition::named(wanted).transpose());
    let named = also.chain(projection.beside.iter().chain(&projection.unnamed).cloned().map(Ok));
    let uuid = |partition| drive::uuid(system, &partition);
    let further = named.filter_map(|named| named.and_then(uuid).transpose()).collect::<Result<_, _>>().map_err(text)?;
    let token = projection.list.token.clone();
    let found = installed::installed(projection.esp(), &token, &program).map_err(text)?;
    Ok(Facts {
        token,
        program,
        drive,
        firmware,
        record: found.record,
        files: found.files,
        directories: found.directories,
        others: found.others,
        has_fallback: found.has_fallback,
        further,
        configuration: configuration(opened)?,
        projection: Vec::new(),
    })
}

fn configuration(opened: &Opened) -> Result<Configuration, String> {
    let [own, _] = FILES;
    Ok(match Settings::file(&opened.locked.system)? {
        None => Configuration::Missing,
        Some((path, bytes)) if path == own && bytes == CONFIGURATION.as_bytes() => Configuration::Written,
        Some((path, bytes)) if Settings::parse(&bytes, path)?.enabled => Configuration::On(path.to_owned()),
        Some((path, _)) => Configuration::Off(path.to_owned()),
    })
}

fn changed(opened: &Opened, changes: &[Change], left: Vec<String>, dry_run: bool) -> Changed {
    let partition = opened.projection.path.clone();
    Changed { partition, changes: changes.iter().map(ToString::to_string).collect(), left, done: !dry_run }
}

fn carry_out(opened: &mut Opened, directory: &OwnedFd, changes: &[Change]) -> Result<(), Failure> {
    let is_of_the_esp =
        |change: &Change| matches!(change, Change::Project(_) | Change::WriteFile { .. } | Change::RemoveFile(_));
    if changes.iter().any(is_of_the_esp) {
        opened.projection.check_writable().map_err(text)?;
    }
    let places = Places {
        sources: Sources {
            boot: opened.locked.place.roots.boot.as_fd(),
            sysroot: opened.locked.place.roots.sysroot.as_fd(),
        },
        target: opened.projection.esp(),
        variables: directory.as_fd(),
        system: opened.locked.system.as_fd(),
    };
    Ok(execute::carry_out(changes, &places, &mut || ()).map_err(text)?)
}

/// Units that look for `esp.conf` when the machine boots.
fn start_units() {
    let words: Vec<&[u8]> = [&[b"/usr/bin/systemctl" as &[u8], b"start"][..], &UNITS].concat();
    let ended = Program::new(&words, &[b"PATH=/usr/bin:/bin"]).and_then(|program| program.run_in_this_group());
    if !matches!(ended, Ok(system::program::End::Status(0))) {
        log::warn!(
            "the units that keep the ESP as /boot is were not started: until the next boot, run firstroot esp sync after each change"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_as_the_schema_says() {
        let changed = Changed {
            partition: "/dev/vda1".to_owned(),
            changes: vec!["sync".to_owned()],
            left: vec!["loader/loader.conf: it was changed".to_owned()],
            done: true,
        };
        for changed in [changed, Changed::default()] {
            json_schemas::require("firstroot-esp-install", &serde_json::to_value(&changed).unwrap()).unwrap();
        }
    }
}
