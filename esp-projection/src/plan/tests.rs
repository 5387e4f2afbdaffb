//! Any list on any target: every prefix of the steps leaves a default that is whole, and ends in the same state.

use std::collections::BTreeSet;

use ostree_formats::bls::BlsEntry;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::entry_name::Tries;
use ostree_formats::projected_entry::{ProjectedName, Token};
use proptest::prelude::*;

use super::{PlanError, Step, bless, plan, retry};
use crate::list::{List, Listed, Payload, PayloadFile};
use crate::target::{Found, Target, TargetEntry};

const CLUSTER: u64 = 512;

fn token() -> Token {
    Token::from_hash([0xab; 4])
}

fn deployment(number: u8) -> DeploymentPath {
    format!("ostree/deploy/os/deploy/{}.0", format!("{number:02x}").repeat(32)).parse().unwrap()
}

fn kernel(number: u8) -> Payload {
    let path = format!("ostree/os-{}", format!("{number:02x}").repeat(32));
    let file = |path: &str, size| PayloadFile { path: path.to_owned(), size };
    Payload::Directory { path, files: vec![file("initramfs.img", 5000), file("vmlinuz", 3000)] }
}

fn listed(number: u8, kernel_number: u8, version: u8) -> Listed {
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

fn list(deployments: Vec<Listed>, tries: u32) -> List {
    List { token: token(), deployments, unreadable: Vec::new(), tries, trial_arguments: "panic=30".to_owned() }
}

/// What a step leaves on the disk.
fn apply(target: &mut Target, step: &Step) {
    match step {
        Step::MakeDirectory(path) => drop(target.directories.insert(path.clone())),
        Step::WritePayload(payload) => drop(target.payloads.insert(payload.path().to_owned(), complete(payload))),
        Step::WriteEntry { name, text } => {
            let name: ProjectedName = name.parse().unwrap();
            assert!(target.entries.iter().all(|entry| entry.name != name), "{name} is there already");
            target.entries.push(TargetEntry { name, text: Some(text.clone()) });
            target.entries.sort_by_key(|entry| entry.name.to_string());
        }
        Step::Sync => {}
        Step::RemoveEntry(name) => target.entries.retain(|entry| entry.name.to_string() != *name),
        Step::RemovePayload(path) => drop(target.payloads.remove(path)),
        Step::RemoveTemporary(path) => {
            target.free += target.temporaries.remove(path).unwrap_or(0).next_multiple_of(CLUSTER);
        }
    }
}

fn complete(payload: &Payload) -> Found {
    match payload {
        Payload::File(file) => Found::File(file.size),
        Payload::Directory { files, .. } => Found::Directory {
            sums: Some(files.iter().map(|file| file.path.clone()).collect()),
            files: files.iter().map(|file| (file.path.clone(), file.size)).collect(),
        },
    }
}

/// The deployment that systemd-boot takes: the highest order that is not bad, else the highest.
fn boots(target: &Target) -> Option<&TargetEntry> {
    target.entries.iter().max_by_key(|entry| (!entry.name.is_bad(), entry.name.order))
}

fn is_whole(entry: &TargetEntry, target: &Target) -> bool {
    let text = entry.text.as_deref().unwrap_or_default();
    let path = text.lines().find_map(|line| line.strip_prefix("linux /")?.strip_suffix("/vmlinuz")).unwrap();
    matches!(target.payloads.get(path), Some(Found::Directory { sums: Some(_), .. }))
}

/// The menu: deployments in their order, with their counters.
fn menu(target: &Target) -> Vec<(String, Option<Tries>)> {
    let mut entries: Vec<&TargetEntry> = target.entries.iter().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.name.order));
    entries.iter().map(|entry| (entry.name.commit.clone(), entry.name.tries.clone())).collect()
}

fn empty() -> Target {
    Target { cluster: CLUSTER, free: 1 << 20, ..Target::default() }
}

fn projected(list: &List, mut target: Target) -> Target {
    for step in plan(list, &target).unwrap() {
        apply(&mut target, &step);
    }
    target
}

#[test]
fn a_first_list_is_not_counted_and_an_update_is() {
    let old = list(vec![listed(1, 1, 1), listed(2, 2, 2)], 3);
    let target = projected(&old, empty());
    assert_eq!(menu(&target), [("010101010101".to_owned(), None), ("020202020202".to_owned(), None)]);
    let update = list(vec![listed(3, 3, 3), listed(1, 1, 1)], 3);
    let target = projected(&update, target);
    let tries = Some(Tries { left: 3, done: Some(0) });
    assert_eq!(menu(&target), [("030303030303".to_owned(), tries), ("010101010101".to_owned(), None)]);
    assert!(boots(&target).unwrap().text.as_ref().unwrap().contains(" panic=30 firstroot.trial\n"));
    assert_eq!(target.payloads.len(), 2, "the kernel of the removed one is gone");
    assert_eq!(plan(&update, &target).unwrap(), []);
}

#[test]
fn nothing_is_counted_that_cannot_bless_or_has_nothing_to_fall_back_to() {
    let target = projected(&list(vec![listed(1, 1, 1)], 3), empty());
    let mut new = listed(2, 2, 2);
    new.can_bless = false;
    let cannot = projected(&list(vec![new, listed(1, 1, 1)], 3), target.clone());
    assert_eq!(menu(&cannot)[0].1, None);
    let alone = projected(&list(vec![listed(2, 2, 2)], 3), target.clone());
    assert_eq!(menu(&alone)[0].1, None);
    let never = projected(&list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0), target);
    assert_eq!(menu(&never)[0].1, None);
}

#[test]
fn an_entry_that_cannot_be_read_is_written_again_and_does_not_count_anew() {
    let both = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3);
    let mut target = projected(&both, empty());
    target.entries.iter_mut().for_each(|entry| entry.text = None);
    let target = projected(&both, target);
    assert_eq!(menu(&target), [("020202020202".to_owned(), None), ("010101010101".to_owned(), None)]);
    assert!(target.entries.iter().all(|entry| entry.text.is_some()));
}

#[test]
fn counters_stay_when_the_text_changes_and_a_blessing_that_was_cut_counts() {
    let old = projected(&list(vec![listed(1, 1, 1)], 3), empty());
    let mut target = projected(&list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3), old);
    // The firmware has tried once.
    let counted = target.entries.iter_mut().find(|entry| entry.name.tries.is_some()).unwrap();
    counted.name.tries = Some(Tries { left: 2, done: Some(1) });
    let changed = projected(&list(vec![listed(2, 2, 9), listed(1, 1, 1)], 3), target.clone());
    assert_eq!(menu(&changed)[0].1, Some(Tries { left: 2, done: Some(1) }));
    // Both are there: the one with and the one without a counter.
    let mut blessed = target.entries.iter().find(|entry| entry.name.tries.is_some()).unwrap().clone();
    blessed.name.tries = None;
    blessed.text =
        Some(blessed.text.unwrap().replace(" panic=30 firstroot.trial", "").replace("# firstroot tries 3\n", ""));
    target.entries.push(blessed);
    let target = projected(&list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3), target);
    assert_eq!(menu(&target).iter().map(|(_, tries)| tries.clone()).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn a_blessing_takes_the_counter_away_and_a_retry_gives_it_back() {
    let update = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3);
    let mut target = projected(&update, projected(&list(vec![listed(1, 1, 1)], 3), empty()));
    let id = deployment(2);
    assert_eq!(retry(&update, &target, &id), [], "it is not bad yet");
    let counted = target.entries.iter_mut().find(|entry| entry.name.tries.is_some()).unwrap();
    counted.name.tries = Some(Tries { left: 0, done: Some(3) });
    for (steps, left) in [(retry as fn(&List, &Target, &_) -> Vec<Step>, Some(3)), (bless, None)] {
        let steps = steps(&update, &target, &id);
        assert_eq!(steps.len(), 4);
        for step in steps {
            apply(&mut target, &step);
            // Cut anywhere, the next run ends with what was wanted, or with what was there.
            let next = projected(&update, target.clone());
            assert_eq!(plan(&update, &next).unwrap(), []);
        }
        assert_eq!(menu(&target)[0].1.as_ref().map(|tries| tries.left), left);
        assert_eq!(plan(&update, &target).unwrap(), []);
    }
    assert_eq!(bless(&update, &target, &id), []);
    assert_eq!(bless(&update, &target, &deployment(4)), []);
}

#[test]
fn the_token_of_another_system_and_what_its_entries_name_stay() {
    let mut target = empty();
    let other = kernel(9);
    target.payloads.insert(other.path().to_owned(), complete(&other));
    target.named_by_others.insert(other.path().to_owned());
    let target = projected(&list(vec![listed(1, 1, 1)], 0), target);
    assert!(target.payloads.contains_key(other.path()));
}

#[test]
fn what_a_cut_run_has_left_does_not_fill_the_target_for_ever() {
    let mut target = projected(&list(vec![listed(1, 1, 1)], 0), empty());
    let both = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0);
    target.free = 8 * CLUSTER;
    assert!(plan(&both, &target).is_err());
    target.temporaries.insert(format!("{}/initramfs.img.tmp", kernel(2).path()), 40 * CLUSTER);
    let steps = plan(&both, &target).unwrap();
    assert!(matches!(steps.first(), Some(Step::RemoveTemporary(_))), "{steps:?}");
}

#[test]
fn the_same_commit_in_two_stateroots_has_two_entries() {
    let mut other = listed(1, 1, 1);
    other.deployment = other.deployment.to_string().replace("deploy/os/", "deploy/other/").parse().unwrap();
    let both = list(vec![listed(1, 1, 1), other], 3);
    let target = projected(&both, empty());
    assert_eq!(target.entries.len(), 2);
    assert_eq!(plan(&both, &target).unwrap(), []);
}

#[test]
fn what_cannot_be_read_now_keeps_its_entry_and_its_kernel() {
    let both = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0);
    let target = projected(&both, empty());
    let mut damaged = list(vec![listed(2, 2, 2)], 0);
    damaged.unreadable.push(deployment(1));
    assert_eq!(plan(&damaged, &target).unwrap(), []);
    // An entry of others that cannot be read may name anything.
    let mut target = target;
    target.others_are_unread = true;
    let after = projected(&list(vec![listed(2, 2, 2)], 0), target);
    assert_eq!((after.entries.len(), after.payloads.len()), (1, 2));
}

#[test]
fn without_room_nothing_changes_and_the_reason_has_figures() {
    let mut target = projected(&list(vec![listed(1, 1, 1)], 0), empty());
    target.free = 4 * CLUSTER;
    let error = plan(&list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0), &target).unwrap_err();
    let PlanError::NoRoom(no_room) = error else { panic!("{error}") };
    assert_eq!((no_room.free, no_room.taken.len()), (4 * CLUSTER, 1));
    // What goes anyway goes first; what boots now stays until the end.
    let both = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0);
    let mut target = projected(&both, projected(&list(vec![listed(1, 1, 1)], 0), empty()));
    target.free = 8 * CLUSTER;
    let steps = plan(&list(vec![listed(3, 3, 3), listed(2, 2, 2)], 0), &target).unwrap();
    assert!(matches!(steps.first(), Some(Step::RemoveEntry(name)) if name.contains("010101010101")), "{steps:?}");
}

#[test]
fn what_a_run_has_begun_is_written_again_in_its_own_room() {
    let both = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0);
    let mut target = projected(&both, projected(&list(vec![listed(1, 1, 1)], 0), empty()));
    let path = both.deployments[0].payloads[0].path().to_owned();
    let Some(Found::Directory { sums, .. }) = target.payloads.get_mut(&path) else { panic!("{path}") };
    *sums = None;
    target.free = 8 * CLUSTER;
    // The entry boots it, whatever is wrong with it.
    assert!(matches!(plan(&both, &target), Err(PlanError::NoRoom(_))));
    target.entries.retain(|entry| !entry.text.as_ref().is_some_and(|text| text.contains(&path)));
    let steps = plan(&both, &target).unwrap();
    assert_eq!(steps.first(), Some(&Step::RemovePayload(path)));
    assert!(steps.iter().any(|step| matches!(step, Step::WritePayload(_))), "{steps:?}");
}

fn lists() -> impl Strategy<Value = List> {
    let one = (1..6u8, 1..4u8, 1..3u8);
    (proptest::collection::vec(one, 1..5), 0..4u32).prop_map(|(numbers, tries)| {
        let mut seen = BTreeSet::new();
        let deployments = numbers.into_iter().filter(|(number, ..)| seen.insert(*number));
        list(deployments.map(|(number, kernel, version)| listed(number, kernel, version)).collect(), tries)
    })
}

proptest! {
    #[test]
    fn every_prefix_boots_the_old_or_the_new_list_and_ends_in_the_same_menu(
        before in proptest::collection::vec(lists(), 0..4), list in lists(), tried in 0..4u32,
    ) {
        let mut target = before.iter().fold(empty(), |target, list| projected(list, target));
        for entry in &mut target.entries {
            if let Some(tries) = &mut entry.name.tries {
                let used = tried.min(tries.left);
                *tries = Tries { left: tries.left - used, done: Some(used) };
            }
        }
        let old = boots(&target).map(|entry| entry.name.commit.clone());
        let steps = plan(&list, &target).unwrap();
        // Where no deployment of the new list is good, another old one may boot while the old ones go.
        let end = projected(&list, target.clone());
        prop_assert_eq!(plan(&list, &end).unwrap(), vec![]);
        let new = boots(&end).map(|entry| entry.name.commit.clone());
        let nothing_is_good = end.entries.iter().all(|entry| entry.name.is_bad());
        let wanted: Vec<String> = list.deployments.iter().map(|listed| listed.deployment.id.commit.as_str()[..12].to_owned()).collect();
        prop_assert_eq!(menu(&end).into_iter().map(|(commit, _)| commit).collect::<Vec<_>>(), wanted);
        let mut now = target;
        for step in &steps {
            apply(&mut now, step);
            if let Some(entry) = boots(&now) {
                prop_assert!(is_whole(entry, &now), "{:?}", step);
                let commit = Some(entry.name.commit.clone());
                prop_assert!(nothing_is_good || commit == old || commit == new, "after {step:?} {commit:?} boots");
            }
            prop_assert!(old.is_none() || boots(&now).is_some());
            let counted = now.entries.iter().any(|entry| entry.name.tries.as_ref().is_some_and(|tries| tries.left > 0));
            let fallback = now.entries.iter().any(|entry| entry.name.tries.is_none());
            prop_assert!(!counted || fallback, "after {step:?} there is nothing to fall back to");
            prop_assert_eq!(menu(&projected(&list, now.clone())), menu(&end));
        }
    }
}
