//! The menu of the boot loader, and what decides in it.

use super::entry::MenuEntry;
use super::lines;
use super::loader::Loader;

/// An exact id that is the one of the entry that was booted last.
pub(super) const SAVED: &str = "@saved";

/// What the boot loader may show, in no order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Menu {
    /// The boot loader.
    pub loader: Loader,
    /// Entries in files.
    pub entries: Vec<MenuEntry>,
    /// The ids of unified kernel images, which have an order of their own.
    pub images: Vec<String>,
    /// What decides between them.
    pub settings: Settings,
}

/// What decides. Texts are as they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `LoaderEntryOneShot`.
    pub one_shot: Option<String>,
    /// `LoaderEntryPreferred`.
    pub preferred_variable: Option<String>,
    /// `LoaderEntryDefault`.
    pub default_variable: Option<String>,
    /// `LoaderEntryLastBooted`.
    pub last_booted: Option<String>,
    /// `preferred` of `loader.conf`.
    pub preferred: Option<String>,
    /// `default` of `loader.conf`.
    pub default: Option<String>,
}

impl Settings {
    /// Adds what `loader.conf` says; of several lines the last one counts.
    pub fn read_loader_conf(&mut self, bytes: &[u8]) {
        for (key, value) in lines::pairs(bytes) {
            match key.as_str() {
                // Other names with this character mean nothing yet.
                "default" | "preferred" if value.starts_with('@') && !value.eq_ignore_ascii_case(SAVED) => {}
                "default" => self.default = Some(value),
                "preferred" => self.preferred = Some(value),
                _ => {}
            }
        }
    }
}
