//! The way back: the firmware starts what it started before, and what is ours goes.

use super::change::Change;
use super::facts::{Configuration, Facts};
use super::paths::{ENTRIES_SREL, LOADER_CONF};
use super::record::Record;

use crate::firmware;
use crate::plan::Step;

/// Why nothing is removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRemoved {
    /// Then the machine may not boot.
    #[error(
        "the firmware has no other boot option that it would try and that names a file, and the ESP has no EFI/BOOT/BOOT*.EFI: without this \
         option the machine may not boot; install another boot loader first, or, if it boots otherwise: firstroot esp uninstall --anyway"
    )]
    NothingElse,
    /// Units would write it again.
    #[error("/{0} says enabled=yes, and units would write the ESP again: write enabled=no there, and run this again")]
    SwitchedOn(String),
}

/// The changes, and what stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// In their order.
    pub changes: Vec<Change>,
    /// Files that stay, with the reason.
    pub left: Vec<String>,
}

/// The changes that take systemd-boot away. `entries` are the steps that remove our entries and their payloads.
///
/// # Errors
/// See [`NotRemoved`]: nothing may be changed. `anyway`: whether something else boots does not matter.
pub fn uninstall(facts: &Facts, entries: &[Step], anyway: bool) -> Result<Removal, NotRemoved> {
    let (firmware, file) = (&facts.firmware, facts.program.firmware_path());
    let of_this: Vec<u16> = firmware.starting(&facts.drive.uuid, &file).collect();
    // Without entries no boot loader of a further ESP boots anything. That is so for each of its files.
    let is_of_further =
        |option: &firmware::LoadOption| option.partition.is_some_and(|uuid| facts.further.contains(&uuid));
    // Every firmware has options for networks and disks. A disk boots by the file that is there for that.
    let boots = |option: &firmware::LoadOption| {
        option.is_tried() && !is_of_further(option) && (option.file.is_some() || facts.has_fallback)
    };
    let is_other = |number: &&u16| !of_this.contains(number) && firmware.option(**number).is_some_and(boots);
    if !anyway && !firmware.order.iter().any(|number| is_other(&number)) {
        return Err(NotRemoved::NothingElse);
    }
    if let Configuration::On(path) = &facts.configuration {
        return Err(NotRemoved::SwitchedOn(path.clone()));
    }
    let mut removal = Removal { changes: variables(facts, &file), left: Vec::new() };
    if facts.configuration == Configuration::Written {
        removal.changes.push(Change::RemoveConfiguration);
    }
    removal.changes.extend(entries.iter().cloned().map(Change::Project));
    files(facts, &mut removal);
    Ok(removal)
}

/// First what names it, then the option.
fn variables(facts: &Facts, file: &str) -> Vec<Change> {
    let firmware = &facts.firmware;
    let made: Vec<u16> = firmware.made(&facts.drive.uuid, file).collect();
    let mut changes = Vec::new();
    if firmware.next.is_some_and(|next| made.contains(&next)) {
        changes.push(Change::RemoveVariable("BootNext".to_owned()));
    }
    let order: Vec<u16> = firmware.order.iter().copied().filter(|number| !made.contains(number)).collect();
    if order != firmware.order {
        changes.push(Change::set_order(firmware, &order));
    }
    changes.extend(made.into_iter().map(|number| Change::RemoveVariable(firmware::name(number))));
    changes
}

fn files(facts: &Facts, removal: &mut Removal) {
    let program = facts.program.path();
    if facts.record.is_empty() {
        if facts.file(&program).is_some() {
            removal.left.push(format!("{program}: firstroot has not installed it"));
        }
        return;
    }
    if let Some(other) = facts.others.first() {
        let more = facts.others.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        removal.left.push(format!("{program}, {LOADER_CONF}: {other}{more} on the ESP may need them"));
        return;
    }
    for path in [program.as_str(), LOADER_CONF, ENTRIES_SREL] {
        match facts.file(path) {
            Some(found) if facts.record.has(path, &found.sum) => {
                removal.changes.push(Change::RemoveFile(path.to_owned()));
            }
            Some(_) => removal.left.push(format!("{path}: firstroot has not written it, or it was changed")),
            None => {}
        }
    }
    removal.changes.push(Change::RemoveFile(Record::path(&facts.token)));
}
