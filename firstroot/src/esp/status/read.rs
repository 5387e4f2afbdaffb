//! Reads the answer. Nothing is written, and no lock is taken.

use std::os::fd::AsFd;

use esp_projection::execute::mounted::{Mounted, mount_points};
use esp_projection::firmware::Firmware;
use esp_projection::further::{Further, Work, further};
use esp_projection::projection::Projection;
use esp_projection::read::{drive, installed, menu, variables};
use esp_projection::select::{Chosen, Loader, Menu, MenuEntry, choose, hazards};
use esp_projection::settings::Settings;
use esp_projection::target::{ENTRIES, IMAGE, TargetEntry};
use ostree_formats::projected_entry::deployment_in;
use ostree_sysroot::Sysroot;

use super::super::failure::Failure;
use super::super::opened::text;
use super::model::{Entry, Next, OfFurther, State};
use super::text as words;
use crate::place::{Place, is_root};

pub(super) fn read() -> Result<State, Failure> {
    let place = Place::open(None, "esp status").map_err(text)?;
    let settings = Settings::read(&place.roots.system)?;
    if !is_root() {
        return Err("reading the ESP needs root".to_owned().into());
    }
    let sysroot = Sysroot::load(&place.roots).map_err(text)?;
    let projection = Projection::read(&place.roots, &sysroot, &settings).map_err(text)?;
    let system = place.roots.system.as_fd();
    let architecture = installed::architecture(system).map_err(text)?;
    let name = installed::program_name(architecture);
    // Entries may be on an XBOOTLDR partition; the boot loader and its settings are on the ESP.
    let beside = projection.beside.as_ref().map(Mounted::open).transpose();
    let unread = beside.as_ref().err().map(|error| format!("{error}: what boots next is found out without it"));
    let beside = beside.unwrap_or_default();
    let esp = beside.as_ref().map_or(projection.esp(), AsFd::as_fd);
    let xbootldr = beside.as_ref().map(|_| projection.esp());
    let on_esp = installed::info(esp, &name).map_err(text)?;
    // Where another boot loader has started this boot, the one on the ESP is asked.
    let info = projection.loader.as_deref().filter(|info| info.starts_with("systemd-boot ")).or(on_esp.as_deref());
    let menu = menu::menu(system, esp, xbootldr, Loader::from_info(info, architecture)).map_err(text)?;

    let mut state = State {
        enabled: settings.enabled,
        partition: projection.path.clone(),
        mounted_at: mount_points(projection.partition.device).map_err(text)?,
        free_bytes: projection.target.free,
        deployments: projection.list.deployments.iter().map(|listed| format!("/{}", listed.deployment)).collect(),
        entries: projection.target.entries.iter().rev().map(entry).collect(),
        boot_loader: projection.loader.clone(),
        installed: on_esp,
        warnings: settings.warnings.clone(),
        ..State::default()
    };
    state.warnings.extend(unread);
    match projection.plan() {
        Ok(steps) => state.current = Some(steps.is_empty()),
        Err(error) => state.problem = Some(error.to_string()),
    }
    state.further =
        further(&projection, &place.roots, &settings.also, Work::Plan).into_iter().map(of_further).collect();
    state.next = next(&menu, &projection);
    others(&menu, &projection, &mut state);
    for hazard in hazards(&menu, &projection.list.token) {
        state.warnings.push(words::hazard(&hazard, projection.list.token.as_str()));
    }
    firmware(&place, &projection, &name, &mut state).map_err(text)?;
    Ok(state)
}

fn of_further(further: Further) -> OfFurther {
    let (current, problem) = match further.steps {
        Ok(steps) => (Some(steps.is_empty()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    OfFurther { partition: further.path, current, problem }
}

fn entry(entry: &TargetEntry) -> Entry {
    let tries = entry.name.tries.as_ref();
    let kernel = entry.text.iter().flat_map(|text| text.lines()).find_map(|line| line.strip_prefix("linux "));
    Entry {
        kernel: kernel.map(str::to_owned),
        image: kernel.and_then(|path| path.rsplit_once('/')).is_some_and(|(_, name)| name.starts_with(IMAGE)),
        file: entry.name.to_string(),
        deployment: entry.text.as_deref().and_then(deployment_in).map(|deployment| format!("/{deployment}")),
        tries_left: tries.map(|tries| tries.left),
        tries_done: tries.map(|tries| tries.done.unwrap_or(0)),
        bad: entry.name.is_bad(),
    }
}

fn next(menu: &Menu, projection: &Projection) -> Option<Next> {
    let choice = choose(menu)?;
    let mut why = choice.why.to_string();
    if choice.may_be_an_image {
        why.push_str("; a unified kernel image in EFI/Linux may come before it, which is not looked at");
    }
    Some(match choice.chosen {
        Chosen::Entry(entry) => Next { entry: entry.file.clone(), deployment: deployment_of(entry, projection), why },
        Chosen::Other(id) => Next { entry: id, deployment: None, why },
    })
}

fn deployment_of(entry: &MenuEntry, projection: &Projection) -> Option<String> {
    let found = projection.target.entries.iter().find(|ours| ours.name.to_string() == entry.file)?;
    found.text.as_deref().and_then(deployment_in).map(|deployment| format!("/{deployment}"))
}

fn others(menu: &Menu, projection: &Projection, state: &mut State) {
    let is_ours = |file: &str| projection.target.entries.iter().any(|entry| entry.name.to_string() == file);
    let entries = menu.entries.iter().filter(|entry| !is_ours(&entry.file));
    state.others.extend(entries.map(|entry| format!("{ENTRIES}/{}", entry.file)));
    state.others.extend(menu.images.iter().map(|id| format!("EFI/Linux/{id}")));
    let shown = |entry: &&TargetEntry| menu.entries.iter().any(|shown| shown.file == entry.name.to_string());
    for entry in projection.target.entries.iter().filter(|entry| !shown(entry)) {
        state.warnings.push(format!(
            "{ENTRIES}/{}: the boot loader passes it over: its kernel is missing, or it is damaged",
            entry.name
        ));
    }
    match projection.list.deployments.first() {
        Some(default) if !default.can_bless => state.warnings.push(format!(
            "/{} has no firstroot: it cannot say that it has come up, so it is not counted, and does not repair the ESP",
            default.deployment
        )),
        _ => {}
    }
}

/// What the firmware starts: it may never come to systemd-boot.
fn firmware(place: &Place, projection: &Projection, name: &str, state: &mut State) -> Result<(), system::SystemError> {
    let system = place.roots.system.as_fd();
    if drive::is_on_raid(system, &projection.partition)? {
        state.warnings.push(format!(
            "{} is on a RAID: the firmware sees one of its disks, so boots cannot be counted",
            projection.path
        ));
    }
    if drive::is_read_only(system, &projection.partition)? {
        state.warnings.push(format!("{} is read-only: boots cannot be counted", projection.path));
    }
    let Some(directory) = variables::open(system)? else { return Ok(()) };
    let firmware = variables::firmware(directory.as_fd())?;
    state.secure_boot = Some(firmware.is_secure);
    let partition = projection.beside.as_ref().unwrap_or(&projection.partition);
    let Some(uuid) = drive::uuid(system, partition)? else { return Ok(()) };
    let booted_from = variables::of_loader(system, "LoaderDevicePartUUID")?;
    let is_booted_from = booted_from.and_then(|text| esp_projection::firmware::guid(&text)) == Some(uuid);
    let file = format!("\\{}\\{name}", esp_projection::install::PROGRAMS.replace('/', "\\"));
    // However it is named: this boot has come through it.
    let current = firmware.current.filter(|_| is_booted_from && projection.loader.is_some());
    let is_ours = |number: u16| Some(number) == current || firmware.starting(&uuid, &file).any(|other| other == number);
    started(&firmware, &is_ours, state);
    // `firstroot esp install` does not put it beside an XBOOTLDR partition.
    let to_type = if projection.beside.is_some() { "bootctl install" } else { "firstroot esp install" };
    if let Some(made) = esp_projection::install::confirmable(&firmware, &uuid, &file) {
        state.warnings.push(format!(
            "{} is installed and not confirmed: a good boot through it makes it the first one; firstroot esp install tries it again",
            firmware.shown(made)
        ));
    } else if let Some(first) = firmware.first().filter(|first| !is_ours(*first)) {
        state.warnings.push(format!(
            "the firmware starts {} first, and not systemd-boot: nothing is counted; to start systemd-boot: {to_type}",
            firmware.shown(first)
        ));
    }
    Ok(())
}

/// What the firmware starts next, and so boots.
fn started(firmware: &Firmware, is_ours: &dyn Fn(u16) -> bool, state: &mut State) {
    let Some(first) = firmware.next.or_else(|| firmware.first()) else { return };
    state.firmware = Some(firmware.shown(first));
    let once = if firmware.next.is_some() { ", for one boot" } else { "" };
    if !is_ours(first) {
        let why = format!("the firmware starts it first{once}, and not systemd-boot");
        state.next = Some(Next { entry: firmware.shown(first), deployment: None, why });
    }
}
