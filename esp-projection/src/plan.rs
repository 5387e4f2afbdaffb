//! The steps from what is on the target to what is to be there: pure.
//!
//! The order of the steps is what survives a power cut. Whatever a step adds has a name that nothing names yet; the renaming of the
//! default's entry is the moment from which the new list boots; only afterwards something is removed. After any number of the steps,
//! a new plan ends in the same state.

mod bless;
mod entries;
mod further;
mod orders;
mod payloads;
mod removal;
mod room;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use ostree_formats::projected_entry::{HIGHEST_ORDER, ProjectedName};

pub use bless::{bless, retry};
pub use further::{further, further_in_the_end, may_boot_another};
pub use removal::removal;
pub use room::{NoRoom, Taken};
pub use step::Step;

use crate::assessment::is_of;
use crate::list::{List, Payload};
use crate::target::{ENTRIES, PAYLOADS, Target, TargetEntry};
use payloads::{UnusedFiles, missing, unused, unused_files};

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The default would be one that does not boot.
    #[error("the list of deployments is empty")]
    Empty,
    /// Too few bytes.
    #[error("{0}")]
    NoRoom(NoRoom),
    /// An entry has an order behind which there is none.
    #[error("the entry {0} has the highest order that there is: remove it, if it is none of firstroot's")]
    NoOrder(String),
}

/// The steps. None: the target is as it is to be.
///
/// # Errors
/// See [`PlanError`]: then nothing may be changed.
pub fn plan(list: &List, target: &Target) -> Result<Vec<Step>, PlanError> {
    if list.deployments.is_empty() {
        return Err(PlanError::Empty);
    }
    let entries = entries::wanted(list, target);
    if entries.iter().any(|entry| entry.name.order > HIGHEST_ORDER) {
        let highest = target.entries.iter().max_by_key(|entry| entry.name.order);
        return Err(PlanError::NoOrder(highest.map(|entry| entry.name.to_string()).unwrap_or_default()));
    }
    let payloads = missing(list, target);
    let kept: BTreeSet<String> = entries.iter().map(|entry| entry.name.to_string()).collect();
    // What counts goes first: what it would fall back to stays as long as it.
    let may_go = |entry: &&TargetEntry| !list.unreadable.iter().any(|deployment| is_of(entry, deployment));
    let mut going: Vec<&ProjectedName> = target.entries.iter().filter(may_go).map(|entry| &entry.name).collect();
    going.sort_by_key(|name| name.tries.is_none());
    let going: Vec<String> = going.iter().map(ToString::to_string).filter(|name| !kept.contains(name)).collect();
    let is_new = |entry: &&entries::Wanted| entry.is_new;
    let mut early = room::make(list, target, &payloads, entries.iter().filter(is_new).count(), &going)
        .map_err(PlanError::NoRoom)?;

    let mut steps: Vec<Step> = target.temporaries.keys().cloned().map(Step::RemoveTemporary).collect();
    steps.append(&mut early);
    if !payloads.is_empty() {
        steps.extend(missing_directories(&payloads, target).map(Step::MakeDirectory));
        steps.extend(payloads.into_iter().map(Step::WritePayload));
    }
    let new = entries::in_order_of_writing(&entries, target);
    if !new.is_empty() {
        let directories = ["loader", ENTRIES].into_iter().filter(|path| !target.directories.contains(*path));
        steps.extend(directories.map(|path| Step::MakeDirectory(path.to_owned())));
        steps.extend(
            new.into_iter().map(|entry| Step::WriteEntry { name: entry.name.to_string(), text: entry.text.clone() }),
        );
        steps.push(Step::Sync);
    }
    let removed_early = |step: &Step| steps.contains(step);
    let entries_to_remove: Vec<Step> =
        going.into_iter().map(Step::RemoveEntry).filter(|step| !removed_early(step)).collect();
    let mut payloads_to_remove: Vec<Step> =
        unused(list, target).into_iter().map(Step::RemovePayload).filter(|step| !removed_early(step)).collect();
    payloads_to_remove.extend(unused_files(list, target).into_iter().filter_map(|files| not_in(&steps, files)));
    for removals in [entries_to_remove, payloads_to_remove] {
        if !removals.is_empty() {
            steps.extend(removals);
            steps.push(Step::Sync);
        }
    }
    Ok(steps)
}

/// Those of the steps that copy what no entry names yet, and change nothing else: they can be done long before the rest. None, if
/// something has to go first, and no overlay initrds, which are in `/boot` only later.
pub fn bulk(steps: Vec<Step>) -> Vec<Step> {
    let copies =
        |step: &Step| matches!(step, Step::RemoveTemporary(_) | Step::MakeDirectory(_) | Step::WritePayload(_));
    let mut bulk: Vec<Step> = steps.into_iter().take_while(copies).collect();
    bulk.retain(|step| !matches!(step, Step::WritePayload(Payload::File(_))));
    if !bulk.iter().any(|step| matches!(step, Step::WritePayload(_))) {
        bulk.clear();
    }
    bulk
}

/// What of these files no step has removed.
fn not_in(steps: &[Step], mut unused: UnusedFiles) -> Option<Step> {
    for step in steps {
        if let Step::RemoveFiles { directory, files } = step
            && *directory == unused.directory
        {
            unused.files.retain(|name| !files.contains(name));
        }
    }
    (!unused.files.is_empty()).then(|| unused.step())
}

fn missing_directories(payloads: &[Payload], target: &Target) -> impl Iterator<Item = String> {
    let parent = |payload: &Payload| payload.path().rsplit_once('/').map(|(parent, _)| parent.to_owned());
    let mut all: BTreeSet<String> = payloads.iter().filter_map(parent).collect();
    all.insert(PAYLOADS.to_owned());
    all.into_iter().filter(|path| !target.directories.contains(path)).collect::<Vec<_>>().into_iter()
}
