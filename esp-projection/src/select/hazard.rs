//! Settings that defeat the rollback, found by trying: a newer entry that counts is added, and then it is bad.

use ostree_formats::entry_name::Tries;
use ostree_formats::projected_entry::{HIGHEST_ORDER, ProjectedName, Token};

use super::choice::{Chosen, Why, choose};
use super::entry::MenuEntry;
use super::menu::Menu;

/// What would not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// The next update would not be booted.
    UpdateIsNotBooted(Why),
    /// An update that does not come up would be booted for ever.
    BadIsBooted(Why),
    /// What boots is none of ours.
    AnotherBoots(Why),
}

impl Hazard {
    /// The setting.
    pub fn why(&self) -> &Why {
        let (Self::UpdateIsNotBooted(why) | Self::BadIsBooted(why) | Self::AnotherBoots(why)) = self;
        why
    }
}

/// What is wrong with the settings for the entries with this token.
pub fn hazards(menu: &Menu, token: &Token) -> Vec<Hazard> {
    let mut later = menu.clone();
    // It counts for one boot only.
    later.settings.one_shot = None;
    let is_ours = |entry: &MenuEntry| entry.file.parse::<ProjectedName>().is_ok_and(|name| name.token == *token);
    let Some(choice) = choose(&later) else { return Vec::new() };
    let mut hazards = Vec::new();
    match &choice.chosen {
        Chosen::Entry(entry) if is_ours(entry) => {}
        _ => hazards.push(Hazard::AnotherBoots(choice.why.clone())),
    }
    let why = |menu: &Menu| choose(menu).map_or(Why::First, |choice| choice.why);
    let chooses = |menu: &Menu, file: &str| {
        choose(menu).is_some_and(|choice| matches!(choice.chosen, Chosen::Entry(entry) if entry.file == file))
    };
    if let Some(entry) = later.entries.iter().find(|entry| is_ours(entry) && chooses(&later, &entry.file)) {
        let file = entry.file.clone();
        let others_are_good = later.entries.iter().any(|entry| is_ours(entry) && entry.file != file && !entry.is_bad());
        if others_are_good && chooses(&with_tries(&later, &file, 0), &file) {
            hazards.push(Hazard::BadIsBooted(choice.why.clone()));
        }
    }
    let newer = newer(&later, token);
    let file = newer.file.clone();
    later.entries.push(newer);
    if !chooses(&later, &file) {
        // Where another system boots, that is the reason for this, too.
        if !matches!(hazards.first(), Some(Hazard::AnotherBoots(_))) {
            hazards.push(Hazard::UpdateIsNotBooted(why(&later)));
        }
    } else if later.entries.len() > 1 && chooses(&with_tries(&later, &file, 0), &file) {
        hazards.push(Hazard::BadIsBooted(why(&later)));
    }
    hazards.dedup();
    hazards
}

/// The menu, with so many tries left of one entry.
fn with_tries(menu: &Menu, file: &str, left: u32) -> Menu {
    let mut menu = menu.clone();
    let loader = menu.loader.clone();
    for entry in menu.entries.iter_mut().filter(|entry| entry.file == file) {
        entry.count(Some(Tries { left, done: Some(3) }), &loader);
    }
    menu
}

/// The entry that the next update would have.
fn newer(menu: &Menu, token: &Token) -> MenuEntry {
    let names = menu.entries.iter().filter_map(|entry| entry.file.parse::<ProjectedName>().ok());
    let highest = names.filter(|name| name.token == *token).map(|name| name.order).max().unwrap_or(0);
    let order = highest.saturating_add(1).min(HIGHEST_ORDER);
    let commit = "0".repeat(12);
    let name = ProjectedName { token: token.clone(), order, commit, deployserial: u32::MAX, tries: None };
    let mut entry = MenuEntry {
        file: name.to_string(),
        sort_key: Some(token.to_string()),
        version: Some(format!("{order:06}")),
        ..MenuEntry::default()
    };
    entry.count(Some(Tries { left: 3, done: Some(0) }), &menu.loader);
    entry
}
