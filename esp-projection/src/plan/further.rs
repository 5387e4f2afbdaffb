//! What a further ESP is to have: only what has come up.
//!
//! No entry there counts. The firmware counts on the ESP that it boots from, and a good boot takes the counter away on the first ESP: a
//! counter on another one would count down to a bad entry of a good deployment, or never. And without a counter a new deployment would have
//! no way back there. So it gets a new deployment when its entry on the first ESP does not count any more. Until then it boots what booted
//! before, which is still in the list.

use super::entries;
use crate::assessment::is_of;
use crate::list::List;
use crate::target::{Target, TargetEntry};

/// The list for a further ESP, when the first one is as `list` wants it.
pub fn further(list: &List, first: &Target) -> List {
    let entries = entries::wanted(list, first);
    let listed = list.deployments.iter().zip(entries).filter(|(_, entry)| entry.name.tries.is_none());
    List { deployments: listed.map(|(listed, _)| listed.clone()).collect(), ..further_in_the_end(list) }
}

/// The same, when all of it has come up.
pub fn further_in_the_end(list: &List) -> List {
    List { tries: 0, is_further: true, ..list.clone() }
}

/// Whether a target may boot a deployment that is not in the list.
pub fn may_boot_another(list: &List, target: &Target) -> bool {
    let listed = || list.deployments.iter().map(|listed| &listed.deployment).chain(&list.unreadable);
    let is_in_the_list = |entry: &TargetEntry| {
        listed().any(|deployment| is_of(entry, deployment) || entry.text.is_none() && entry.name.is_of(&deployment.id))
    };
    !target.entries.iter().all(is_in_the_list)
}
