//! `etc diff`: the texts, by `diff -u`, and in words what it does not show.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use serde::Serialize;
use system::program::{End, Program};

use super::compare::{self, Found};
use super::status::{Change, Item, items};
use super::trees::{EtcTrees, Tree, is_at_or_below, relative, shown};
use super::unlisted;
use crate::exit_status::{FAILED, SUCCESS, Status};
use crate::show::page::{Page, Style};
use crate::show::print;
use crate::show::terminal::PLAIN;

const DIFF: &str = "/usr/bin/diff";

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    shipped: String,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Difference {
    path: String,
    change: Change,
    /// How they differ, in words.
    details: Vec<String>,
}

pub(super) fn show(trees: &EtcTrees, staged: bool, json: bool, paths: &[OsString]) -> Result<Status, String> {
    let vendor = trees.vendor(staged)?;
    let wanted = paths.iter().map(|path| relative(path)).collect::<Result<Vec<_>, _>>()?;
    let (all, _) = items(trees, staged)?;
    let is_wanted = |item: &Item| wanted.is_empty() || wanted.iter().any(|path| is_at_or_below(&item.relative, path));
    let mut chosen: Vec<Item> = all.into_iter().filter(is_wanted).collect();
    for path in &wanted {
        if !chosen.iter().any(|item| is_at_or_below(&item.relative, path)) {
            chosen.extend(unlisted::item(vendor, &trees.machine, path)?);
        }
    }
    let mut differences = Vec::new();
    let mut both = Vec::new();
    for item in chosen {
        let look = |tree: &Tree| {
            compare::look(tree, &item.relative).map_err(|error| format!("cannot read {}: {error}", item.path))
        };
        let (one, other) = (look(vendor)?, look(&trees.machine)?);
        let details = match (&one, &other) {
            (Some(one), Some(other)) => compare::differences(one, other),
            _ => Vec::new(),
        };
        differences.push(Difference { path: item.path, change: item.change, details });
        both.push((item.relative, one, other));
    }
    let shown = Shown { shipped: format!("/{}", vendor.deployment), differences };
    if json {
        return Ok(print::print(&shown, true, |_| {}));
    }
    for (difference, (path, one, other)) in shown.differences.iter().zip(both) {
        let mut page = Page::default();
        heading(difference, &mut page);
        if print::text(&page.render(PLAIN)) != SUCCESS {
            return Ok(FAILED);
        }
        if is_text(&one, &other) && !run_diff(trees, vendor, &path, one.is_some(), other.is_some())? {
            return Ok(FAILED);
        }
    }
    Ok(SUCCESS)
}

fn heading(difference: &Difference, page: &mut Page) {
    let what = match difference.change {
        Change::Added => "only this machine has it".to_owned(),
        Change::Removed => "this machine does not have it".to_owned(),
        Change::Modified => difference.details.join(", "),
    };
    page.line(0, Style::Bold, &format!("{}: {what}", difference.path));
}

/// Whether there is something for `diff` to show.
fn is_text(one: &Option<Found>, other: &Option<Found>) -> bool {
    let is_file = |found: &Option<Found>| found.as_ref().is_none_or(|found| found.kind == "file");
    // What is not there is as an empty one.
    let content = |found: &Option<Found>| found.as_ref().filter(|found| found.size > 0).map(|found| found.content);
    is_file(one) && is_file(other) && content(one) != content(other)
}

/// Whether it could be shown.
fn run_diff(trees: &EtcTrees, vendor: &Tree, path: &OsStr, in_vendor: bool, here: bool) -> Result<bool, String> {
    let null = || OsString::from("/dev/null");
    let one = if in_vendor { vendor.path.join(path).into_os_string() } else { null() };
    let other = if here { trees.machine.path.join(path).into_os_string() } else { null() };
    let label = shown(path);
    let label = system::printable::printable(&label);
    let (shipped, machine) = (format!("--label=shipped{label}"), format!("--label={label}"));
    let words: [&[u8]; 7] =
        [DIFF.as_bytes(), b"-u", shipped.as_bytes(), machine.as_bytes(), b"--", one.as_bytes(), other.as_bytes()];
    let program = Program::new(&words, &[b"PATH=/usr/bin:/bin"]).map_err(|error| error.to_string())?;
    match program.run_in_this_group().map_err(|error| format!("cannot execute {DIFF}: {error}"))? {
        // The reader has closed the pipe.
        End::Signal(_) => Ok(false),
        End::Status(0 | 1) => Ok(true),
        _ => Err(format!("{DIFF} failed; it is in the package diffutils")),
    }
}
