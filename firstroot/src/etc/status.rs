//! `etc status`: every name that is not as the booted tree ships it, and what the staged tree ships there.

use std::ffi::OsString;

use finalize_staged::inspect::{self, Drift};
use serde::Serialize;

use super::compare::{self, Found};
use super::trees::{EtcTrees, shown};
use crate::exit_status::Status;
use crate::show::page::{Page, Style};
use crate::show::print;

/// What happened to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    Added,
    Modified,
    Removed,
}

/// What the staged tree ships at a changed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StagedFile {
    /// Exactly what the machine has: the change is no change any more.
    AsHere,
    /// The same as the booted tree.
    Unchanged,
    /// Another file than both: the machine's is kept.
    Changed,
    /// Nothing, where the booted tree ships something.
    Dropped,
}

/// A changed name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) change: Change,
    pub(super) staged: Option<StagedFile>,
    #[serde(skip)]
    pub(super) relative: OsString,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    booted: String,
    staged: Option<String>,
    changed: Vec<Item>,
    /// Devices, fifos and sockets.
    special: Vec<String>,
    unreadable: Vec<String>,
}

/// The drift, item by item.
pub(super) fn items(trees: &EtcTrees, staged_alone: bool) -> Result<(Vec<Item>, Drift), String> {
    let clone = |directory: &std::os::fd::OwnedFd| directory.try_clone().map_err(|error| error.to_string());
    let vendor = trees.vendor(staged_alone)?;
    let new = trees.staged.as_ref().unwrap_or(vendor);
    let drift = inspect::drift(clone(&vendor.directory)?, clone(&trees.machine.directory)?, clone(&new.directory)?)?;
    let mut items = Vec::new();
    for changed in &drift.changed {
        let change = match (changed.shipped, changed.machine) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Modified,
        };
        let staged = match &trees.staged {
            Some(_) if !staged_alone => staged_file(trees, &changed.path)?,
            _ => None,
        };
        items.push(Item { path: shown(&changed.path), change, staged, relative: changed.path.clone() });
    }
    Ok((items, drift))
}

fn staged_file(trees: &EtcTrees, path: &std::ffi::OsStr) -> Result<Option<StagedFile>, String> {
    let Some(staged) = &trees.staged else { return Ok(None) };
    let look = |tree| compare::look(tree, path).map_err(|error| format!("cannot read {}: {error}", shown(path)));
    let (booted, here, staged) = (look(&trees.shipped)?, look(&trees.machine)?, look(staged)?);
    let same = |one: &Option<Found>, other: &Option<Found>| match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => compare::differences(one, other).is_empty(),
        _ => false,
    };
    Ok(Some(if same(&here, &staged) {
        StagedFile::AsHere
    } else if same(&booted, &staged) {
        StagedFile::Unchanged
    } else if staged.is_none() {
        StagedFile::Dropped
    } else {
        StagedFile::Changed
    }))
}

pub(super) fn show(trees: &EtcTrees, json: bool) -> Result<Status, String> {
    let (changed, drift) = items(trees, false)?;
    let all = Shown {
        booted: format!("/{}", trees.shipped.deployment),
        staged: trees.staged.as_ref().map(|tree| format!("/{}", tree.deployment)),
        changed,
        special: drift.special.iter().map(|path| shown(path)).collect(),
        unreadable: drift.unreadable.iter().map(|path| shown(path)).collect(),
    };
    Ok(print::print(&all, json, |page| text(&all, page)))
}

fn text(all: &Shown, page: &mut Page) {
    const COLUMN: usize = 4;
    if all.changed.is_empty() {
        page.line(0, Style::Good, "/etc is as the system ships it");
    }
    for item in &all.changed {
        let (style, letter) = match item.change {
            Change::Added => (Style::Good, "A"),
            Change::Modified => (Style::Warning, "M"),
            Change::Removed => (Style::Bad, "D"),
        };
        let staged = match item.staged {
            None | Some(StagedFile::Unchanged) => "",
            Some(StagedFile::AsHere) => "  (the staged update ships this)",
            Some(StagedFile::Changed) => "  (the staged update ships another one)",
            Some(StagedFile::Dropped) => "  (the staged update ships it no more)",
        };
        page.labelled(0, COLUMN, style, letter, &format!("{}{staged}", item.path));
    }
    for path in &all.special {
        page.labelled(
            0,
            COLUMN,
            Style::Warning,
            "!",
            &format!("{path}  (a device, fifo or socket: no update carries it over)"),
        );
    }
    for path in &all.unreadable {
        page.labelled(0, COLUMN, Style::Warning, "?", &format!("{path}  (cannot be read: run this as root)"));
    }
}
