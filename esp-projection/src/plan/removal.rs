//! The steps that remove the whole projection.

use super::payloads::unused;
use super::step::Step;
use crate::list::List;
use crate::target::Target;

/// The steps; none, if nothing of ours is there. First what the boot loader reads, then what no entry of others names.
pub fn removal(list: &List, target: &Target) -> Vec<Step> {
    let nothing = List { deployments: Vec::new(), unreadable: Vec::new(), staged: None, ..list.clone() };
    let temporaries = target.temporaries.keys().cloned().map(Step::RemoveTemporary);
    // What counts goes before what it would fall back to.
    let (counted, others): (Vec<_>, Vec<_>) = target.entries.iter().partition(|entry| entry.name.tries.is_some());
    let entries = counted.into_iter().chain(others).map(|entry| Step::RemoveEntry(entry.name.to_string()));
    let payloads = unused(&nothing, target).into_iter().map(Step::RemovePayload);
    let mut steps = Vec::new();
    for removals in [temporaries.collect::<Vec<_>>(), entries.collect(), payloads.collect()] {
        if !removals.is_empty() {
            steps.extend(removals);
            steps.push(Step::Sync);
        }
    }
    steps
}
