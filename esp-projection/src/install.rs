//! systemd-boot on a machine that has another boot loader: the changes that install it, make it the first one, and take it away. Pure.
//!
//! What booted until now stays, and boots again if anything fails: the firmware is asked to start systemd-boot **once**. Only a boot that
//! has come up through it makes it the first one.

mod change;
mod facts;
mod first;
mod paths;
mod record;
mod removal;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use ostree_formats::deployment::hexadecimal;

pub use change::Change;
pub use facts::{Configuration, Facts, Found, Program};
pub use first::{confirm, confirmable};
pub use paths::{CONFIGURATION, ENTRIES_SREL, LOADER_CONF, PROGRAMS};
pub use record::Record;
pub use removal::{NotRemoved, Removal, uninstall};

use crate::firmware::{self, DESCRIPTION};
use crate::plan::Step;

/// Why nothing is installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The firmware would not start it.
    #[error(
        "Secure Boot is on, and /usr/lib/systemd/boot/efi/{0}.signed is not there: the firmware would not start an unsigned boot loader; \
         install your distribution's signed systemd-boot, or switch Secure Boot off in the firmware's setup"
    )]
    NotSigned(String),
    /// A file in its place.
    #[error("{0} on the ESP is there and is not systemd-boot: firstroot does not replace it; move it away")]
    Foreign(String),
    /// All numbers are taken.
    #[error("the firmware has 65,536 boot options: remove one with efibootmgr --delete-bootnum")]
    NoNumber,
    /// The administrator has switched it off.
    #[error("/{0} does not say enabled=yes: write it there, below [esp], and run this again")]
    SwitchedOff(String),
}

/// The changes that install systemd-boot. None: it is installed.
///
/// # Errors
/// See [`Refusal`]: nothing may be changed.
pub fn install(facts: &Facts) -> Result<Vec<Change>, Refusal> {
    if facts.firmware.is_secure && !facts.program.is_signed {
        return Err(Refusal::NotSigned(facts.program.name.clone()));
    }
    if let Configuration::Off(path) = &facts.configuration {
        return Err(Refusal::SwitchedOff(path.clone()));
    }
    let mut changes = files(facts)?;
    if !facts.projection.is_empty() {
        changes.extend(facts.projection.iter().cloned().map(Change::Project));
    } else if !changes.is_empty() {
        changes.push(Change::Project(Step::Sync));
    }
    if facts.configuration == Configuration::Missing {
        changes.push(Change::WriteConfiguration);
    }
    changes.extend(variables(facts)?);
    Ok(changes)
}

/// The files on the ESP, behind the record that says whose they are.
fn files(facts: &Facts) -> Result<Vec<Change>, Refusal> {
    let mut wanted: Vec<(String, Vec<u8>)> = Vec::new();
    let path = facts.program.path();
    let content = &facts.program.content;
    match facts.file(&path) {
        Some(found) if found.sum == sum(content) => {}
        // Another system's, or bootctl's: it boots these entries as well.
        Some(found) if found.info.is_some() && !facts.record.has(&path, &found.sum) => {}
        Some(found) if found.info.is_none() && !facts.record.has(&path, &found.sum) => {
            return Err(Refusal::Foreign(path));
        }
        _ => wanted.push((path, content.clone())),
    }
    if facts.file(LOADER_CONF).is_none() {
        wanted.push((LOADER_CONF.to_owned(), format!("timeout 3\ndefault {}-*\n", facts.token).into_bytes()));
    }
    if !facts.directories.contains(crate::target::ENTRIES) && facts.file(ENTRIES_SREL).is_none() {
        wanted.push((ENTRIES_SREL.to_owned(), b"type1\n".to_vec()));
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut record = facts.record.clone();
    for (path, content) in &wanted {
        record.add(path, &sum(content));
    }
    let missing = ["EFI", PROGRAMS, "loader"].into_iter().filter(|path| !facts.directories.contains(*path));
    let mut changes: Vec<Change> = missing.map(|path| Change::Project(Step::MakeDirectory(path.to_owned()))).collect();
    changes.push(Change::WriteFile { path: Record::path(&facts.token), content: record.to_text().into_bytes() });
    changes.extend(wanted.into_iter().map(|(path, content)| Change::WriteFile { path, content }));
    Ok(changes)
}

/// The option of the firmware, for one boot.
fn variables(facts: &Facts) -> Result<Vec<Change>, Refusal> {
    let (firmware, file) = (&facts.firmware, facts.program.firmware_path());
    let first = firmware.first();
    if first.is_some_and(|first| firmware.starting(&facts.drive.uuid, &file).any(|number| number == first)) {
        return Ok(Vec::new());
    }
    let value = firmware::encode(DESCRIPTION, &facts.drive, &file);
    let made = firmware.made(&facts.drive.uuid, &file).next();
    let number = made.or_else(|| firmware.free()).ok_or(Refusal::NoNumber)?;
    let mut changes = Vec::new();
    if made.is_none() {
        changes.push(Change::SetVariable { name: firmware::name(number), value, what: DESCRIPTION.to_owned() });
    }
    // It was the first one once. It is again when a boot was good.
    if firmware.order.contains(&number) {
        let order: Vec<u16> = firmware.order.iter().copied().filter(|other| *other != number).collect();
        changes.push(Change::set_order(firmware, &order));
    }
    if firmware.next != Some(number) {
        let what = format!("{}, for the next boot only", firmware::name(number));
        changes.push(Change::SetVariable { name: "BootNext".to_owned(), value: number.to_le_bytes().to_vec(), what });
    }
    Ok(changes)
}

/// The SHA-256 of a content, as sha256sum(1) prints it.
pub fn sum(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}
