//! Which entry boots, and because of which setting.

use std::fmt;

use super::entry::{MenuEntry, compare};
use super::glob;
use super::menu::{Menu, SAVED};

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
    for (pattern, why, passes_bad_over) in rules(menu) {
        let image = menu.images.iter().find(|id| glob::matches(&pattern, id));
        let is_it = |entry: &&MenuEntry| glob::matches(&pattern, &entry.id) && !(passes_bad_over && entry.is_bad());
        let chosen = match (menu.entries.iter().filter(is_it).min_by(|one, other| compare(one, other)), image) {
            (Some(entry), _) => Chosen::Entry(entry),
            (None, Some(image)) => Chosen::Other(image.clone()),
            (None, None) if pattern.starts_with("auto-") => Chosen::Other(pattern),
            (None, None) => continue,
        };
        let may_be_an_image = image.is_some() && matches!(chosen, Chosen::Entry(_));
        return Some(Choice { chosen, why, may_be_an_image });
    }
    let first = menu.entries.iter().min_by(|one, other| compare(one, other)).map(Chosen::Entry);
    let may_be_an_image = first.is_some() && !menu.images.is_empty();
    let chosen = first.or_else(|| menu.images.first().cloned().map(Chosen::Other))?;
    Some(Choice { chosen, why: Why::First, may_be_an_image })
}

/// The settings in the order in which they count: a pattern, and whether it passes bad entries over.
fn rules(menu: &Menu) -> Vec<(String, Why, bool)> {
    let settings = &menu.settings;
    let fold = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_lowercase());
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
