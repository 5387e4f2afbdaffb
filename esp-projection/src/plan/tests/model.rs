//! Lists and targets by numbers, and what a step does to a target.

use std::collections::BTreeMap;

use ostree_formats::bls::BlsEntry;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::entry_name::Tries;
use ostree_formats::projected_entry::{ProjectedName, Token};

use super::super::{Step, plan};
use crate::list::{CopiedFrom, List, Listed, Payload, PayloadFile, union};
use crate::target::{Found, Target, TargetEntry};

pub(super) const CLUSTER: u64 = 512;

pub(super) fn token() -> Token {
    Token::from_hash([0xab; 4])
}

pub(super) fn deployment(number: u8) -> DeploymentPath {
    format!("ostree/deploy/os/deploy/{}.0", format!("{number:02x}").repeat(32)).parse().unwrap()
}

pub(super) fn kernel_path(number: u8) -> String {
    format!("ostree/os-{}", format!("{number:02x}").repeat(32))
}

pub(super) fn kernel(number: u8) -> Payload {
    let file = |path: &str, size| PayloadFile { path: path.to_owned(), size, from: CopiedFrom::Boot };
    Payload::Directory { path: kernel_path(number), files: vec![file("initramfs.img", 5000), file("vmlinuz", 3000)] }
}

/// An image beside this kernel, with an addon.
pub(super) fn image(kernel_number: u8, number: u8) -> Payload {
    let name = image_name(number);
    let from =
        CopiedFrom::Tree { path: format!("{number}"), sum: Some(format!("{number:02x}").repeat(32).parse().unwrap()) };
    let file = |path: String, size| PayloadFile { path, size, from: from.clone() };
    let files = vec![file(name.clone(), 8000), file(format!("{name}.extra.d/a.addon.efi"), 100)];
    Payload::Directory { path: kernel_path(kernel_number), files }
}

pub(super) fn image_name(number: u8) -> String {
    format!("uki-6.1-{number:012x}.efi")
}

/// A deployment that boots an image beside its kernel.
pub(super) fn with_image(number: u8, kernel_number: u8, image_number: u8) -> Listed {
    let mut listed = listed(number, kernel_number, 1);
    listed.payloads = vec![image(kernel_number, image_number)];
    listed.entry.set("linux", &format!("/{}/{}", kernel_path(kernel_number), image_name(image_number)));
    listed.entry.remove("initrd");
    listed
}

pub(super) fn listed(number: u8, kernel_number: u8, version: u8) -> Listed {
    let payload = kernel(kernel_number);
    let text = format!(
        "title OS {version} (ostree:0)\noptions rw ostree=/ostree/boot.1/os/x/0\nlinux /{0}/vmlinuz\ninitrd /{0}/initramfs.img\n",
        payload.path()
    );
    Listed {
        deployment: deployment(number),
        entry: BlsEntry::parse(text.as_bytes()).unwrap(),
        payloads: vec![payload],
        can_bless: true,
        is_booted: false,
    }
}

pub(super) fn list(deployments: Vec<Listed>, tries: u32) -> List {
    List {
        token: token(),
        deployments,
        unreadable: Vec::new(),
        staged: None,
        tries,
        trial_arguments: "panic=30".to_owned(),
        is_further: false,
    }
}

/// What a step leaves on the disk.
pub(super) fn apply(target: &mut Target, step: &Step) {
    match step {
        Step::MakeDirectory(path) => drop(target.directories.insert(path.clone())),
        Step::WritePayload(payload) => add(target, payload),
        Step::WriteEntry { name, text } => {
            let name: ProjectedName = name.parse().unwrap();
            assert!(target.entries.iter().all(|entry| entry.name != name), "{name} is there already");
            target.entries.push(TargetEntry { name, text: Some(text.clone()) });
            target.entries.sort_by_key(|entry| entry.name.to_string());
        }
        Step::Sync => {}
        Step::RemoveEntry(name) => target.entries.retain(|entry| entry.name.to_string() != *name),
        Step::RemoveFiles { directory, files: gone } => {
            let Some(Found::Directory { sums, files }) = target.payloads.get_mut(directory) else {
                panic!("{directory}")
            };
            files.retain(|name, _| !gone.contains(name));
            sums.iter_mut().for_each(|sums| sums.retain(|name| !gone.contains(name)));
        }
        Step::RemovePayload(path) => drop(target.payloads.remove(path)),
        Step::RemoveTemporary(path) => {
            target.free += target.temporaries.remove(path).unwrap_or(0).next_multiple_of(CLUSTER);
        }
    }
}

/// What else is in a directory stays in it.
pub(super) fn add(target: &mut Target, payload: &Payload) {
    let mut found = complete(payload);
    let there = target.payloads.get(payload.path());
    if let (Found::Directory { sums: Some(sums), files }, Some(Found::Directory { sums: old, files: others })) =
        (&mut found, there)
    {
        sums.extend(old.iter().flatten().cloned());
        files.extend(others.clone());
    }
    target.payloads.insert(payload.path().to_owned(), found);
}

pub(super) fn complete(payload: &Payload) -> Found {
    match payload {
        Payload::File(file) => Found::File(file.size),
        Payload::Directory { files, .. } => Found::Directory {
            sums: Some(files.iter().map(|file| file.path.clone()).collect()),
            files: files.iter().map(|file| (file.path.clone(), file.size)).collect(),
        },
    }
}

/// The deployment that systemd-boot takes: the highest order that is not bad, else the highest.
pub(super) fn boots(target: &Target) -> Option<&TargetEntry> {
    target.entries.iter().max_by_key(|entry| (!entry.name.is_bad(), entry.name.order))
}

/// Whether all that an entry loads is there, and said to be complete.
pub(super) fn is_whole(entry: &TargetEntry, target: &Target) -> bool {
    let text = entry.text.as_deref().unwrap_or_default();
    let paths = text.lines().filter_map(|line| line.strip_prefix("linux /").or(line.strip_prefix("initrd /")));
    let is_there = |path: &str| {
        let (directory, name) = path.rsplit_once('/').unwrap();
        let Some(Found::Directory { sums: Some(sums), files }) = target.payloads.get(directory) else { return false };
        let addon = format!("{name}.extra.d/a.addon.efi");
        let has = |name: &str| sums.contains(name) && files.contains_key(name);
        has(name) && (!name.starts_with("uki-") || has(&addon))
    };
    let mut count = 0;
    paths.inspect(|_| count += 1).all(is_there) && count > 0
}

/// Fails if there is something that nothing in the list needs, or something is missing.
pub(super) fn require_exactly(list: &List, target: &Target) {
    let wanted = union(list.deployments.iter().flat_map(|listed| &listed.payloads));
    let wanted: BTreeMap<String, Found> =
        wanted.iter().map(|payload| (payload.path().to_owned(), complete(payload))).collect();
    assert_eq!(target.payloads, wanted);
}

/// The menu: deployments in their order, with their counters.
pub(super) fn menu(target: &Target) -> Vec<(String, Option<Tries>)> {
    let mut entries: Vec<&TargetEntry> = target.entries.iter().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.name.order));
    entries.iter().map(|entry| (entry.name.commit.clone(), entry.name.tries.clone())).collect()
}

pub(super) fn empty() -> Target {
    Target { cluster: CLUSTER, free: 1 << 20, ..Target::default() }
}

pub(super) fn projected(list: &List, mut target: Target) -> Target {
    for step in plan(list, &target).unwrap() {
        apply(&mut target, &step);
    }
    target
}
