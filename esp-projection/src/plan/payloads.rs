//! Which payloads are missing on the target, and which nothing needs any more.

use std::collections::BTreeSet;

use crate::assessment::is_of;
use crate::list::{List, Payload};
use crate::target::{Found, Target};

/// Payloads of the list that are not complete on the target, each once.
pub(super) fn missing(list: &List, target: &Target) -> Vec<Payload> {
    let wanted: BTreeSet<&Payload> = list.deployments.iter().flat_map(|listed| &listed.payloads).collect();
    wanted.into_iter().filter(|payload| !is_complete(payload, target)).cloned().collect()
}

fn is_complete(payload: &Payload, target: &Target) -> bool {
    match (payload, target.payloads.get(payload.path())) {
        (Payload::File(file), Some(Found::File(size))) => file.size == *size,
        (Payload::Directory { files, .. }, Some(Found::Directory { sums: Some(sums), files: found })) => {
            files.iter().all(|file| sums.contains(&file.path) && found.get(&file.path) == Some(&file.size))
        }
        _ => false,
    }
}

/// Payloads that no entry will name.
pub(super) fn unused(list: &List, target: &Target) -> Vec<String> {
    let wanted: BTreeSet<&str> =
        list.deployments.iter().flat_map(|listed| &listed.payloads).map(Payload::path).collect();
    // Of a deployment that cannot be read now the entry says what it needs.
    let staying: Vec<&str> = target
        .entries
        .iter()
        .filter(|entry| list.unreadable.iter().any(|deployment| is_of(entry, deployment)))
        .filter_map(|entry| entry.text.as_deref())
        .collect();
    let is_used = |path: &String| {
        wanted.contains(path.as_str())
            || target.others_are_unread
            || target.named_by_others.contains(&path.to_ascii_lowercase())
            || staying.iter().any(|text| text.contains(path.as_str()))
    };
    target.payloads.keys().filter(|path| !is_used(path)).cloned().collect()
}
