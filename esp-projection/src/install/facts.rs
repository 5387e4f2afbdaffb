//! What the changes are decided by.

use std::collections::BTreeSet;

use ostree_formats::projected_entry::Token;

use super::paths::PROGRAMS;
use super::record::Record;
use crate::firmware::{Firmware, HardDrive};
use crate::plan::Step;

/// All of it.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whose entries.
    pub token: Token,
    /// The boot loader of the booted tree.
    pub program: Program,
    /// The target, as the firmware finds it.
    pub drive: HardDrive,
    /// The firmware's variables.
    pub firmware: Firmware,
    /// What `install` has written, as the ESP says.
    pub record: Record,
    /// Files on the ESP that `install` would write, by their path.
    pub files: Vec<(String, Found)>,
    /// Directories on the ESP that are there.
    pub directories: BTreeSet<String>,
    /// Entries and unified kernel images of others, by their path.
    pub others: Vec<String>,
    /// The ESP has the file that the firmware starts where an option names only a disk.
    pub has_fallback: bool,
    /// Further ESPs, whose entries go, too.
    pub further: Vec<[u8; 16]>,
    /// `esp.conf`.
    pub configuration: Configuration,
    /// The steps that project the list.
    pub projection: Vec<Step>,
}

impl Facts {
    /// A file that is there.
    pub fn file(&self, path: &str) -> Option<&Found> {
        self.files.iter().find(|(other, _)| other == path).map(|(_, found)| found)
    }
}

/// systemd-boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// `systemd-bootx64.efi`.
    pub name: String,
    /// The whole file.
    pub content: Vec<u8>,
    /// It has a signature.
    pub is_signed: bool,
}

impl Program {
    /// Where it is on the ESP.
    pub fn path(&self) -> String {
        format!("{PROGRAMS}/{}", self.name)
    }

    /// The file beside it that the firmware starts where an option names only a disk: `EFI/BOOT/BOOTX64.EFI`.
    pub fn fallback(&self) -> String {
        let name = self.name.strip_prefix("systemd-").unwrap_or(&self.name);
        format!("EFI/BOOT/{}", name.to_ascii_uppercase())
    }

    /// The same for the firmware.
    pub fn firmware_path(&self) -> String {
        format!("\\{}", self.path().replace('/', "\\"))
    }
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its SHA-256.
    pub sum: String,
    /// What it says of itself, if it is systemd-boot.
    pub info: Option<String>,
}

/// `esp.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configuration {
    /// There is none.
    Missing,
    /// What `install` writes, and nothing else.
    Written,
    /// It says `enabled=yes`, in this file.
    On(String),
    /// It does not, in this file.
    Off(String),
}
