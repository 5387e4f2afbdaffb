//! `firstroot repair bootlinks`: makes the boot links that entries name and that do not exist.
//!
//! It does what the warning of a recovered boot tells the administrator to do, for every entry, by the rules of a boot: a link leads
//! only to a deployment with the kernel of its entry.

mod execute;
mod plan;
mod record;

use std::path::Path;
use std::time::Duration;

use finalize_staged::inspect;

use crate::exit_status::{FAILED, Status};
use crate::place::{Place, is_root};
use crate::show::page::{Page, Style};
use crate::show::print;
use plan::Repair;

/// How long another program is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Repairs, and checks afterwards.
pub(crate) fn bootlinks(root: Option<&Path>, dry_run: bool, json: bool) -> Status {
    match repair(root, dry_run) {
        Ok(repair) => {
            let printed = print::print(&repair, json, |page| text(&repair, page));
            if repair.unknown.is_empty() { printed } else { FAILED }
        }
        Err(error) => {
            log::error!("{error}");
            FAILED
        }
    }
}

fn repair(root: Option<&Path>, dry_run: bool) -> Result<Repair, String> {
    let mut place = Place::open(root, "repair bootlinks").map_err(|error| error.to_string())?;
    let repair = plan::plan(&place)?;
    if dry_run || repair.sets.is_empty() {
        return Ok(repair);
    }
    if !is_root() {
        return Err("repairing needs root; without root, use --dry-run".to_owned());
    }
    if place.runs && place.root == Path::new("/") {
        place.roots = inspect::writable_roots().map_err(|error| error.to_string())?;
    }
    let _lock = inspect::lock(&place.roots, PATIENCE).map_err(|error| error.to_string())?;
    // Another program may have written them before it gave up the lock.
    let mut repair = plan::plan(&place)?;
    for set in &repair.sets {
        execute::execute(&place.roots, set).map_err(|error| error.to_string())?;
    }
    let after = plan::plan(&place)?;
    if !after.sets.is_empty() {
        return Err(
            "the boot links were written, and do not lead where they should: check the disk (journalctl -k)".to_owned()
        );
    }
    repair.done = true;
    Ok(repair)
}

fn text(repair: &Repair, page: &mut Page) {
    if repair.sets.is_empty() && repair.unknown.is_empty() {
        page.line(0, Style::Good, "every entry has its boot link: nothing to do");
    }
    let word = if repair.done { "made" } else { "would make" };
    for made in repair.sets.iter().flat_map(|set| &set.made) {
        page.line(0, Style::Plain, &format!("{word} {} -> {}", made.link, made.deployment));
    }
    for unknown in &repair.unknown {
        page.labelled(0, 4, Style::Bad, "BAD", &format!("{}: {}", unknown.link, unknown.reason));
    }
    if repair.done {
        page.line(0, Style::Good, "the boot links are on the disk");
    }
}
