//! What systemd-boot boots next, and why: its own rules, on values. Pure.
//!
//! What is looked at are entries in files (type 1). Unified kernel images, and what the boot loader finds by itself (`auto-windows`), are
//! known by their names only: it is said where one of them may come before an entry.

mod entry;
mod glob;
mod hazard;
mod lines;
mod loader;
#[cfg(test)]
mod tests;
mod version;

use std::fmt;

pub use entry::{MenuEntry, compare};
pub use hazard::{Hazard, hazards};
pub use loader::{Loader, info_in};

/// An exact id that is the one of the entry that was booted last.
const SAVED: &str = "@saved";

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

/// Which setting decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// `LoaderEntryOneShot`, for one boot.
    OneShot(String),
    /// `LoaderEntryPreferred`.
    PreferredVariable(String),
    /// `preferred` of `loader.conf`.
    Preferred(String),
    /// `LoaderEntryDefault`.
    DefaultVariable(String),
    /// `default` of `loader.conf`.
    Default(String),
    /// `@saved`, in the variable or in the file: what was booted last.
    Saved(String),
    /// It is the first one.
    First,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneShot(id) => write!(f, "the EFI variable LoaderEntryOneShot names {id}, for one boot"),
            Self::PreferredVariable(id) => write!(f, "the EFI variable LoaderEntryPreferred is {id}"),
            Self::Preferred(id) => write!(f, "loader.conf has preferred {id}"),
            Self::DefaultVariable(id) => write!(f, "the EFI variable LoaderEntryDefault is {id}"),
            Self::Default(id) => write!(f, "loader.conf has default {id}"),
            Self::Saved(id) => write!(f, "@saved is set, and {id} was booted last"),
            Self::First => f.write_str("it is the first entry of the menu"),
        }
    }
}

/// What is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen<'a> {
    /// An entry in a file.
    Entry(&'a MenuEntry),
    /// A unified kernel image, or an entry that the boot loader makes if it finds something, by a setting that matches nothing else.
    Other(String),
}

/// The choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<'a> {
    /// What boots.
    pub chosen: Chosen<'a>,
    /// Because of which setting.
    pub why: Why,
    /// A unified kernel image may come first: where it is in the menu is not known.
    pub may_be_an_image: bool,
}

/// What boots next; `None`: the boot loader has nothing that it would boot by itself.
pub fn choose(menu: &Menu) -> Option<Choice<'_>> {
    let mut sorted: Vec<&MenuEntry> = menu.entries.iter().collect();
    sorted.sort_by(|one, other| compare(one, other));
    for (pattern, why, passes_bad_over) in rules(menu) {
        let image = menu.images.iter().find(|id| glob::matches(&pattern, id));
        let is_it = |entry: &&&MenuEntry| glob::matches(&pattern, &entry.id) && !(passes_bad_over && entry.is_bad());
        let chosen = match (sorted.iter().find(is_it), image) {
            (Some(entry), _) => Chosen::Entry(entry),
            (None, Some(image)) => Chosen::Other(image.clone()),
            (None, None) if pattern.starts_with("auto-") => Chosen::Other(pattern),
            (None, None) => continue,
        };
        let may_be_an_image = image.is_some() && matches!(chosen, Chosen::Entry(_));
        return Some(Choice { chosen, why, may_be_an_image });
    }
    let first = sorted.first().map(|entry| Chosen::Entry(entry));
    let may_be_an_image = first.is_some() && !menu.images.is_empty();
    let chosen = first.or_else(|| menu.images.first().cloned().map(Chosen::Other))?;
    Some(Choice { chosen, why: Why::First, may_be_an_image })
}

/// The settings in the order in which they count: a pattern, and whether it passes bad entries over.
fn rules(menu: &Menu) -> Vec<(String, Why, bool)> {
    let settings = &menu.settings;
    let fold = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
    let rule = |text: &Option<String>, why: fn(String) -> Why, passes_bad_over| {
        let text = fold(text)?;
        let (pattern, why): (_, fn(String) -> Why) =
            if text == SAVED { (fold(&settings.last_booted)?, Why::Saved) } else { (text, why) };
        Some((pattern.clone(), why(pattern), passes_bad_over))
    };
    let preferred = |text, why| rule(text, why, true).filter(|_| menu.loader.knows_preferred());
    let all = [
        rule(&settings.one_shot, Why::OneShot, false),
        preferred(&settings.preferred_variable, Why::PreferredVariable),
        preferred(&settings.preferred, Why::Preferred),
        rule(&settings.default_variable, Why::DefaultVariable, false),
        rule(&settings.default, Why::Default, false),
    ];
    all.into_iter().flatten().collect()
}
