//! An update whose kernel is copied while it waits for shutdown.

use super::super::{PlanError, Step, bulk, plan};
use super::model::*;
use crate::list::{List, Payload};
use crate::target::Target;

fn now() -> List {
    list(vec![listed(1, 1, 1)], 3)
}

fn update() -> List {
    list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3)
}

/// The list as long as the update waits.
fn waiting() -> List {
    List { staged: Some(kernel_path(2)), ..now() }
}

fn copied() -> Target {
    let mut target = projected(&now(), empty());
    bulk(plan(&update(), &target).unwrap()).iter().for_each(|step| apply(&mut target, step));
    target
}

#[test]
fn what_is_copied_early_changes_no_entry_and_is_not_copied_again() {
    let (before, target) = (projected(&now(), empty()), copied());
    assert_eq!(target.entries, before.entries);
    assert!(target.payloads.contains_key(&kernel_path(2)));
    let steps = plan(&update(), &target).unwrap();
    assert!(!steps.iter().any(|step| matches!(step, Step::WritePayload(_))), "{steps:?}");
    assert_eq!(bulk(steps), []);
    assert_eq!(projected(&update(), target), projected(&update(), before));
}

#[test]
fn it_stays_as_long_as_the_update_waits() {
    assert_eq!(plan(&waiting(), &copied()).unwrap(), []);
    // It is staged no longer.
    let steps = plan(&now(), &copied()).unwrap();
    assert_eq!(steps, [Step::RemovePayload(kernel_path(2)), Step::Sync]);
    let removed = super::super::removal(&waiting(), &copied());
    assert!(removed.contains(&Step::RemovePayload(kernel_path(2))), "{removed:?}");
}

#[test]
fn it_gives_way_to_a_list_that_has_no_room_otherwise() {
    let mut target = copied();
    target.free = 10_000;
    let other = List { staged: Some(kernel_path(2)), ..list(vec![listed(3, 3, 3), listed(1, 1, 1)], 3) };
    let steps = plan(&other, &target).unwrap();
    assert!(steps.starts_with(&[Step::RemovePayload(kernel_path(2)), Step::Sync]), "{steps:?}");
    // Also, where only an entry names it that goes.
    let mut target = projected(&list(vec![listed(1, 1, 1), listed(2, 2, 2)], 3), empty());
    target.free = 10_000;
    let steps = plan(&other, &target).unwrap();
    assert!(steps.contains(&Step::RemovePayload(kernel_path(2))), "{steps:?}");
    // Not, where one boots from it that stays.
    let both =
        List { staged: Some(kernel_path(2)), ..list(vec![listed(3, 3, 3), listed(2, 2, 2), listed(1, 1, 1)], 3) };
    assert!(matches!(plan(&both, &target), Err(PlanError::NoRoom(_))));
}

#[test]
fn nothing_is_copied_early_where_something_has_to_go_first() {
    let both = list(vec![listed(1, 1, 1), listed(3, 3, 3)], 3);
    let mut target = projected(&both, empty());
    target.free = 10_000;
    let steps = plan(&update(), &target).unwrap();
    assert!(steps.iter().any(|step| matches!(step, Step::WritePayload(_))));
    assert_eq!(bulk(steps), []);
}

#[test]
fn overlay_initrds_are_left_to_shutdown_and_their_room_is_counted() {
    let mut update = update();
    let Payload::Directory { files, .. } = kernel(9) else { panic!() };
    let mut overlay = files[0].clone();
    overlay.path = format!("ostree/initramfs-overlays/{}.img", "e".repeat(64));
    update.deployments[0].payloads.push(Payload::File(overlay.clone()));
    let mut target = projected(&now(), empty());
    let copied = bulk(plan(&update, &target).unwrap());
    let paths = copied.iter().filter_map(|step| match step {
        Step::WritePayload(payload) => Some(payload.path().to_owned()),
        _ => None,
    });
    assert_eq!(paths.collect::<Vec<_>>(), [kernel_path(2)]);
    let room = |target: &Target, list: &List| match plan(list, target) {
        Err(PlanError::NoRoom(no_room)) => no_room.needed,
        other => panic!("{other:?}"),
    };
    target.free = 0;
    assert_eq!(
        room(&target, &update) - room(&target, &super::prepared::update()),
        overlay.size.next_multiple_of(CLUSTER)
    );
}
