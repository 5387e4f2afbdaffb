//! `etc explain`: one path, and what becomes of it.

use std::ffi::OsStr;

use ostree_formats::booted_state::BootedState;
use ostree_sysroot::roots::read_if_there;
use serde::Serialize;

use super::compare::{self, Found};
use super::trees::{EtcTrees, Tree, relative, shown};
use crate::exit_status::Status;
use crate::place::Place;
use crate::show::page::{Page, Style};
use crate::show::print;

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Explained {
    path: String,
    shipped: Option<Found>,
    machine: Option<Found>,
    /// `None`: nothing is staged, or the staged tree ships nothing there.
    staged: Option<Found>,
    has_staged: bool,
    /// How the machine's differs from the shipped one, in words.
    details: Vec<String>,
    /// What an update does with it.
    update: String,
}

pub(super) fn show(place: &Place, trees: &EtcTrees, json: bool, path: &OsStr) -> Result<Status, String> {
    let path = relative(path)?;
    let look =
        |tree: &Tree| compare::look(tree, &path).map_err(|error| format!("cannot read {}: {error}", shown(&path)));
    let (shipped, machine) = (look(&trees.shipped)?, look(&trees.machine)?);
    let staged = trees.staged.as_ref().map(look).transpose()?.flatten();
    if shipped.is_none() && machine.is_none() && staged.is_none() {
        return Err(format!("{} does not exist, and no tree ships it", shown(&path)));
    }
    let details = match (&shipped, &machine) {
        (Some(one), Some(other)) => compare::differences(one, other),
        _ => Vec::new(),
    };
    let update = update(&shipped, &machine, &details, trees.staged.as_ref().map(|_| &staged), is_transient(place)?);
    let explained =
        Explained { path: shown(&path), shipped, machine, staged, has_staged: trees.staged.is_some(), details, update };
    Ok(print::print(&explained, json, |page| text(&explained, page)))
}

fn is_transient(place: &Place) -> Result<bool, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot read /run/ostree-booted: {error}");
    let booted =
        read_if_there(&place.roots.system, &"", "run/ostree-booted", 1 << 20).map_err(|error| cannot(&error))?;
    let Some(bytes) = booted else { return Ok(false) };
    Ok(BootedState::from_bytes(&bytes).map_err(|error| cannot(&error))?.transient_etc.is_some())
}

/// The rule of the merge, for this path.
fn update(
    shipped: &Option<Found>,
    machine: &Option<Found>,
    details: &[String],
    staged: Option<&Option<Found>>,
    is_transient: bool,
) -> String {
    if is_transient {
        return "/etc is transient: what was changed is lost at a reboot, and nothing is merged".to_owned();
    }
    let new = |found: &Option<Found>| match (found, shipped) {
        (Some(new), Some(old)) => !compare::differences(old, new).is_empty(),
        (None, None) => false,
        _ => true,
    };
    let differs = staged.is_some_and(new);
    let mut text = match (shipped, machine) {
        (Some(_), Some(_)) if details.is_empty() => {
            return if differs {
                "this machine has not changed it: the staged update replaces it".to_owned()
            } else {
                "this machine has not changed it: an update takes the new tree's".to_owned()
            };
        }
        (Some(_), Some(_)) => "this machine has changed it: an update keeps this machine's".to_owned(),
        (Some(_), None) => "this machine has removed it: it stays removed".to_owned(),
        (None, Some(_)) => "only this machine has it: an update keeps it".to_owned(),
        (None, None) => return "the staged update brings it".to_owned(),
    };
    if differs {
        text.push_str("; the staged update ships another one, which is not taken");
    }
    text
}

fn text(all: &Explained, page: &mut Page) {
    const COLUMN: usize = 10;
    page.line(0, Style::Bold, &all.path);
    let mut say = |label: &str, text: &str| page.labelled(0, COLUMN, Style::Plain, label, text);
    say("shipped", &words(&all.shipped));
    say("here", &words(&all.machine));
    if all.has_staged {
        say("staged", &words(&all.staged));
    }
    if !all.details.is_empty() {
        say("changed", &all.details.join(", "));
    }
    say("update", &all.update);
}

fn words(found: &Option<Found>) -> String {
    let Some(found) = found else { return "nothing".to_owned() };
    let mut words = format!("{}, mode {}, owner {}:{}", found.kind, found.mode, found.uid, found.gid);
    if let Some(target) = &found.target {
        words.push_str(&format!(", to {target}"));
    }
    if found.kind == "file" {
        words.push_str(&format!(", {} bytes", found.size));
    }
    if !found.attributes.is_empty() {
        words.push_str(&format!(", {}", found.attributes.join(" ")));
    }
    words
}
