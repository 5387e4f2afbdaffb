//! The entries that are to be on the target: which of them are there, and what is written.

use std::collections::BTreeSet;

use ostree_formats::entry_name::Tries;
use ostree_formats::projected_entry::{ProjectedName, Source, Trial, text, tries_in};

use super::orders;
use crate::assessment::{entry_of, is_of};
use crate::list::{List, Listed};
use crate::target::{Target, TargetEntry};

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) name: ProjectedName,
    pub(super) text: String,
    /// Whether it must be written.
    pub(super) is_new: bool,
}

/// How an entry counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Counting {
    tries: Option<Tries>,
    /// How many tries there are in all; `None`: it does not count.
    of: Option<u32>,
}

/// The entries of the list, the default first.
pub(super) fn wanted(list: &List, target: &Target) -> Vec<Wanted> {
    let current: Vec<Option<&TargetEntry>> =
        list.deployments.iter().map(|listed| entry_of(&listed.deployment, target)).collect();
    let mut counting: Vec<Counting> = list
        .deployments
        .iter()
        .zip(&current)
        .enumerate()
        .map(|(index, (listed, current))| match current {
            Some(entry) if !list.is_further => counting_of(entry, list),
            None if index == 0 && is_counted(list, listed, target, &current_others(&list.deployments, target)) => {
                Counting { tries: Some(Tries { left: list.tries, done: Some(0) }), of: Some(list.tries) }
            }
            _ => Counting::default(),
        })
        .collect();
    // What there is to fall back to must not count itself.
    if counting.iter().all(|counting| counting.tries.is_some())
        && let Some(first) =
            counting.iter_mut().find(|counting| counting.tries.as_ref().is_some_and(|tries| tries.left > 0))
    {
        *first = Counting::default();
    }
    let with_order = |listed: &Listed, counting: &Counting, order: u32| {
        let trial = counting.of.map(|tries| Trial { tries, arguments: &list.trial_arguments });
        let source = Source { entry: &listed.entry, deployment: &listed.deployment, trial };
        let name = ProjectedName::of(&list.token, order, &listed.deployment.id, counting.tries.clone());
        (name, text(&list.token, order, &source))
    };
    let is_right = |listed: &Listed, counting: &Counting, entry: &TargetEntry| {
        let (_, text) = with_order(listed, counting, entry.name.order);
        entry.text.as_ref() == Some(&text) && entry.name.tries == counting.tries
    };
    let zipped = || list.deployments.iter().zip(&counting).zip(&current);
    let right: Vec<Option<u32>> = zipped()
        .map(|((listed, counting), current)| {
            current.filter(|entry| is_right(listed, counting, entry)).map(|entry| entry.name.order)
        })
        .collect();
    let used: BTreeSet<u32> = target.entries.iter().map(|entry| entry.name.order).collect();
    let default = list.deployments.first().map(|listed| &listed.deployment);
    let is_rival = |entry: &&TargetEntry| default.is_none_or(|default| !is_of(entry, default)) && !entry.name.is_bad();
    let rivals = target.entries.iter().filter(is_rival).map(|entry| entry.name.order).collect();
    let orders = orders::assign(&right, &used, &rivals);
    zipped()
        .zip(orders)
        .map(|(((listed, counting), _), (order, is_kept))| {
            let (name, text) = with_order(listed, counting, order);
            Wanted { name, text, is_new: !is_kept }
        })
        .collect()
}

fn current_others(deployments: &[Listed], target: &Target) -> Vec<bool> {
    deployments
        .iter()
        .skip(1)
        .map(|listed| entry_of(&listed.deployment, target).is_none_or(|entry| entry.name.tries.is_none()))
        .collect()
}

/// The counters that the firmware has left, and the tries that the text promises.
fn counting_of(entry: &TargetEntry, list: &List) -> Counting {
    let promised = entry.text.as_deref().and_then(tries_in);
    match &entry.name.tries {
        Some(tries) => Counting { tries: Some(tries.clone()), of: Some(promised.unwrap_or(list.tries.max(1))) },
        None => Counting::default(),
    }
}

/// Whether a new default is tried only so often. Not the first list on a target, not where nothing else is known to boot, and not one
/// whose entry is there and cannot be read: it may be good.
fn is_counted(list: &List, default: &Listed, target: &Target, others_are_good: &[bool]) -> bool {
    let is_known = target.entries.iter().any(|entry| entry.text.is_none() && entry.name.is_of(&default.deployment.id));
    let is_update = !target.entries.is_empty() && !is_known;
    list.tries > 0 && default.can_bless && is_update && others_are_good.contains(&true)
}

/// Those that must be written, in an order in which none boots before the one that is to boot, but what has booted.
pub(super) fn in_order_of_writing<'a>(entries: &'a [Wanted], target: &Target) -> Vec<&'a Wanted> {
    let good = target.entries.iter().filter(|entry| !entry.name.is_bad());
    let boots_now = good.map(|entry| entry.name.order).max().unwrap_or(0);
    let will_boot = entries.iter().position(|entry| !entry.name.is_bad()).unwrap_or(0);
    let others = || entries.iter().enumerate().rev().filter(|(index, entry)| *index != will_boot && entry.is_new);
    let below = others().filter(|(_, entry)| entry.name.order < boots_now);
    let chosen = entries.iter().enumerate().filter(|(index, entry)| *index == will_boot && entry.is_new);
    let above = others().filter(|(_, entry)| entry.name.order >= boots_now);
    below.chain(chosen).chain(above).map(|(_, entry)| entry).collect()
}
