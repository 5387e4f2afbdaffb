//! Lists on targets: what the steps end in.

mod further;
mod images;
mod model;
mod prepared;
mod property;

use ostree_formats::entry_name::Tries;

use super::{PlanError, Step, bless, plan, retry};
use crate::list::List;
use crate::target::{Found, ROOM_FOR_NAMES, Target};
use model::*;

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
    target.free = 8 * CLUSTER + 2 * ROOM_FOR_NAMES;
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
    target.free = 8 * CLUSTER + 2 * ROOM_FOR_NAMES;
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
