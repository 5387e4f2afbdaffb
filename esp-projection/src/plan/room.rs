//! Whether there is room on the target, and what goes first where there is not.

use std::collections::BTreeSet;
use std::fmt;

use ostree_formats::projected_entry::ProjectedName;

use super::payloads::{UnusedFiles, unused, unused_files};
use super::step::Step;
use crate::list::{List, Payload};
use crate::target::{Found, ROOM_FOR_NAMES, Target, TargetEntry, in_clusters};

/// How much is missing, and what takes the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    /// Bytes that are needed.
    pub needed: u64,
    /// Bytes that are free, or would be.
    pub free: u64,
    /// What there is, the largest first.
    pub taken: Vec<Taken>,
}

/// Something on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its path.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ESP is full: {} bytes are needed, and {} are free", self.needed, self.free)?;
        for Taken { path, bytes } in &self.taken {
            write!(f, "; {path} has {bytes}")?;
        }
        Ok(())
    }
}

/// What has to be removed before the payloads fit. Nothing of the booted deployment, and nothing that boots now.
pub(super) fn make(
    list: &List,
    target: &Target,
    payloads: &[Payload],
    entries: usize,
    going: &[String],
) -> Result<Vec<Step>, NoRoom> {
    let needed: u64 = payloads.iter().map(|payload| bytes(payload, target)).sum::<u64>()
        + target.cluster.saturating_mul(entries as u64 + 1)
        + target.room_for_names;
    // They go before anything is written.
    let temporaries: u64 = target.temporaries.values().map(|size| in_clusters(*size, target.cluster)).sum();
    let free = target.free.saturating_add(temporaries);
    if payloads.is_empty() && entries == 0 || needed <= free {
        return Ok(Vec::new());
    }
    let boots_now = boots_now(target);
    let is_kept = |name: &String| {
        let parsed = name.parse::<ProjectedName>();
        let is_booted = |name: &ProjectedName| {
            list.deployments.iter().any(|listed| listed.is_booted && name.is_of(&listed.deployment.id))
        };
        boots_now.as_ref() == Some(name) || parsed.is_ok_and(|name| is_booted(&name))
    };
    let (kept, removed): (Vec<&String>, Vec<&String>) = going.iter().partition(|name| is_kept(name));
    // What an entry that stays for now names must stay, too.
    let texts = target.entries.iter().filter(|entry| kept.contains(&&entry.name.to_string()));
    let texts: Vec<&str> = texts.filter_map(|entry| entry.text.as_deref()).collect();
    let mut payloads_going: BTreeSet<String> = unused(list, target)
        .into_iter()
        .filter(|path| !texts.iter().any(|text| text.contains(path.as_str())))
        .collect();
    let images: Vec<UnusedFiles> =
        unused_files(list, target).into_iter().filter_map(|files| files.images_not_in(&texts)).collect();
    let freed = |going: &BTreeSet<String>| -> u64 {
        let found = going.iter().filter_map(|path| target.payloads.get(path));
        let of_images = images.iter().map(|files| files.bytes(target));
        found.map(|found| found.bytes(target.cluster)).chain(of_images).sum()
    };
    if needed > free.saturating_add(freed(&payloads_going)) {
        payloads_going.extend(half_written(payloads, target));
    }
    if needed > free.saturating_add(freed(&payloads_going)) {
        payloads_going.extend(prepared(list, target, &removed));
    }
    let freed = freed(&payloads_going);
    if needed > free.saturating_add(freed) {
        let free = free.saturating_add(freed);
        return Err(NoRoom { needed, free, taken: taken(target, &payloads_going) });
    }
    let mut steps: Vec<Step> = removed.into_iter().cloned().map(Step::RemoveEntry).collect();
    if !steps.is_empty() {
        steps.push(Step::Sync);
    }
    steps.extend(payloads_going.into_iter().map(Step::RemovePayload));
    steps.extend(images.into_iter().map(UnusedFiles::step));
    steps.push(Step::Sync);
    Ok(steps)
}

/// The entry that a boot loader would choose of ours: the highest order that is not bad.
fn boots_now(target: &Target) -> Option<String> {
    let readable = target.entries.iter().filter(|entry| entry.text.is_some());
    readable.max_by_key(|entry| (!entry.name.is_bad(), entry.name.order)).map(|entry| entry.name.to_string())
}

/// Payloads that a run has begun, and no entry names yet. They are written again from the beginning.
fn half_written(payloads: &[Payload], target: &Target) -> impl Iterator<Item = String> {
    let is_begun = |path: &str| matches!(target.payloads.get(path), Some(Found::Directory { sums: None, .. }));
    payloads
        .iter()
        .map(Payload::path)
        .filter(move |path| is_begun(path) && !is_named(path, target.entries.iter()) && !may_be_of_others(path, target))
        .map(str::to_owned)
}

/// Whether an entry may boot from it.
fn is_named<'a>(path: &str, mut entries: impl Iterator<Item = &'a TargetEntry>) -> bool {
    entries.any(|entry| entry.text.as_ref().is_some_and(|text| text.contains(path)))
}

fn may_be_of_others(path: &str, target: &Target) -> bool {
    target.others_are_unread || target.named_by_others.contains(&path.to_ascii_lowercase())
}

/// The payload of a deployment that is not in the list yet. Its finalization copies it again.
fn prepared(list: &List, target: &Target, removed: &[&String]) -> Option<String> {
    let path = list.staged.as_ref().filter(|path| target.payloads.contains_key(*path))?;
    let mut listed = list.deployments.iter().flat_map(|listed| &listed.payloads);
    let stays = |entry: &&TargetEntry| !removed.contains(&&entry.name.to_string());
    let is_needed = listed.any(|payload| payload.path() == path)
        || is_named(path, target.entries.iter().filter(stays))
        || may_be_of_others(path, target);
    (!is_needed).then(|| path.clone())
}

/// What a payload will take, beside what of it is there.
fn bytes(payload: &Payload, target: &Target) -> u64 {
    let there = |path: &str, size: u64| match target.payloads.get(payload.path()) {
        // What is not known to be complete may be written once more, beside what is there.
        Some(Found::Directory { sums: Some(_), files }) => files.get(path) == Some(&size),
        _ => false,
    };
    match payload {
        Payload::Directory { files, .. } => {
            let missing = files.iter().filter(|file| !there(&file.path, file.size));
            // A new directory has room for names.
            let is_new = !target.payloads.contains_key(payload.path());
            let directory = if is_new { in_clusters(2 * ROOM_FOR_NAMES, target.cluster) } else { 0 };
            // And the checksums, beside those that are there.
            missing.map(|file| in_clusters(file.size, target.cluster)).sum::<u64>() + directory + 2 * target.cluster
        }
        Payload::File(file) => in_clusters(file.size, target.cluster),
    }
}

fn taken(target: &Target, going: &BTreeSet<String>) -> Vec<Taken> {
    let staying = target.payloads.iter().filter(|(path, _)| !going.contains(*path));
    let mut all: Vec<Taken> =
        staying.map(|(path, found)| Taken { path: path.clone(), bytes: found.bytes(target.cluster) }).collect();
    all.sort_by_key(|taken| std::cmp::Reverse(taken.bytes));
    all.truncate(4);
    all
}
