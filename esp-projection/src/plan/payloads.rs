//! Which payloads are missing on the target, and which nothing needs any more.

use std::collections::BTreeSet;

use super::step::Step;
use crate::assessment::is_of;
use crate::list::{List, Payload, union};
use crate::target::{EXTRA, Found, IMAGE, Target, TargetEntry, in_clusters};

/// Payloads of the list that are not complete on the target, each once.
pub(super) fn missing(list: &List, target: &Target) -> Vec<Payload> {
    let mut wanted = wanted(list);
    wanted.retain(|payload| !is_complete(payload, target));
    wanted
}

fn wanted(list: &List) -> Vec<Payload> {
    union(list.deployments.iter().flat_map(|listed| &listed.payloads))
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
    let is_used = |path: &String| wanted.contains(path.as_str()) || is_used_besides(path, list, target);
    target.payloads.keys().filter(|path| !is_used(path)).cloned().collect()
}

/// Whether something needs a payload that is not in the list.
fn is_used_besides(path: &str, list: &List, target: &Target) -> bool {
    // Of a deployment that cannot be read now the entry says what it needs.
    let is_staying = |entry: &&TargetEntry| list.unreadable.iter().any(|deployment| is_of(entry, deployment));
    let mut staying = target.entries.iter().filter(is_staying).filter_map(|entry| entry.text.as_deref());
    target.others_are_unread
        || list.staged.as_deref() == Some(path)
        || target.named_by_others.contains(&path.to_ascii_lowercase())
        || staying.any(|text| text.contains(path))
}

/// Files that nothing needs any more, of payloads that stay: another image of the same kernel, or a kernel that an image has taken
/// the place of. Only what `SHA256SUMS` has, and images, of which a run may have written one and no more: the rest is not ours.
pub(super) fn unused_files(list: &List, target: &Target) -> Vec<UnusedFiles> {
    let mut all = Vec::new();
    for payload in wanted(list) {
        let (Payload::Directory { path, files }, Some(Found::Directory { sums, files: found })) =
            (&payload, target.payloads.get(payload.path()))
        else {
            continue;
        };
        if is_used_besides(path, list, target) {
            continue;
        }
        let wanted: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let images = found.keys().filter(|name| name.starts_with(IMAGE));
        let ours = sums.iter().flatten().chain(images).filter(|name| !wanted.contains(name.as_str()));
        let mut files: Vec<String> = ours.cloned().collect();
        files.sort();
        files.dedup();
        if !files.is_empty() {
            all.push(UnusedFiles { directory: path.clone(), files });
        }
    }
    all
}

/// Files of one payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnusedFiles {
    pub(super) directory: String,
    pub(super) files: Vec<String>,
}

impl UnusedFiles {
    /// The images among them that none of these entries names: these may go before the others.
    pub(super) fn images_not_in(mut self, texts: &[&str]) -> Option<Self> {
        self.files.retain(|name| {
            let image = name.split_once(EXTRA).map_or(name.as_str(), |(image, _)| image);
            let full = format!("{}/{image}", self.directory);
            name.starts_with(IMAGE) && !texts.iter().any(|text| text.contains(&full))
        });
        (!self.files.is_empty()).then_some(self)
    }

    /// What their removal frees.
    pub(super) fn bytes(&self, target: &Target) -> u64 {
        let Some(Found::Directory { files, .. }) = target.payloads.get(&self.directory) else { return 0 };
        let sizes = self.files.iter().filter_map(|name| files.get(name));
        sizes.map(|size| in_clusters(*size, target.cluster)).sum()
    }

    pub(super) fn step(self) -> Step {
        Step::RemoveFiles { directory: self.directory, files: self.files }
    }
}
