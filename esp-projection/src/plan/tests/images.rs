//! Images beside kernels: files of one directory that come and go.

use super::super::{PlanError, Step, plan};
use super::model::*;
use crate::list::List;
use crate::target::Found;

fn removed(list: &List, target: &crate::target::Target) -> Vec<Vec<String>> {
    let of = |step| match step {
        Step::RemoveFiles { files, .. } => Some(files),
        _ => None,
    };
    plan(list, target).unwrap().into_iter().filter_map(of).collect()
}

#[test]
fn an_image_takes_the_place_of_its_kernel_and_gives_it_back() {
    let (plain, image) = (list(vec![listed(1, 1, 1)], 0), list(vec![with_image(1, 1, 1)], 0));
    let mut target = projected(&plain, empty());
    for (list, gone) in [
        (&image, ["initramfs.img", "vmlinuz"]),
        (&plain, ["uki-6.1-000000000001.efi", "uki-6.1-000000000001.efi.extra.d/a.addon.efi"]),
    ] {
        assert_eq!(removed(list, &target), [gone]);
        target = projected(list, target);
        require_exactly(list, &target);
        assert_eq!(target.entries.len(), 1);
    }
}

#[test]
fn the_same_kernel_with_another_image_is_an_update() {
    let old = list(vec![with_image(1, 1, 1)], 3);
    let update = list(vec![with_image(2, 1, 2), with_image(1, 1, 1)], 3);
    let both = projected(&update, projected(&old, empty()));
    require_exactly(&update, &both);
    assert_eq!(menu(&both)[0].1.as_ref().map(|tries| tries.left), Some(3));
    // One that does without is beside them, with the same kernel.
    let three = list(vec![listed(3, 1, 1), with_image(2, 1, 2)], 0);
    let target = projected(&three, both);
    require_exactly(&three, &target);
    let Some(Found::Directory { files, .. }) = target.payloads.get(&kernel_path(1)) else { panic!("{target:?}") };
    assert_eq!(files.len(), 4);
}

#[test]
fn what_a_run_has_left_of_another_image_goes_and_what_is_not_ours_stays() {
    let list = list(vec![with_image(1, 1, 1)], 0);
    let mut target = projected(&list, empty());
    let Some(Found::Directory { files, .. }) = target.payloads.get_mut(&kernel_path(1)) else { panic!("{target:?}") };
    files.insert("uki-6.1-000000000009.efi".to_owned(), 10);
    files.insert("notes.txt".to_owned(), 10);
    assert_eq!(removed(&list, &target), [["uki-6.1-000000000009.efi"]]);
    // Another system's entry, or one of ours that cannot be read now, may need what is there.
    let mut others = target.clone();
    others.named_by_others.insert(kernel_path(1));
    assert_eq!(plan(&list, &others).unwrap(), []);
    others = target.clone();
    others.others_are_unread = true;
    assert_eq!(plan(&list, &others).unwrap(), []);
    let damaged = List { deployments: vec![listed(2, 2, 1)], unreadable: vec![deployment(1)], ..list };
    let after = projected(&damaged, target.clone());
    assert_eq!(after.payloads.get(&kernel_path(1)), target.payloads.get(&kernel_path(1)));
}

#[test]
fn an_image_that_goes_anyway_makes_room_first_and_one_that_boots_does_not() {
    let both = list(vec![with_image(2, 1, 2), with_image(1, 1, 1)], 0);
    let mut target = projected(&both, projected(&list(vec![with_image(1, 1, 1)], 0), empty()));
    target.free = 4 * CLUSTER;
    let update = list(vec![with_image(3, 1, 3), with_image(2, 1, 2)], 0);
    let steps = plan(&update, &target).unwrap();
    let early: Vec<&Step> = steps.iter().take_while(|step| !matches!(step, Step::WritePayload(_))).collect();
    let [Step::RemoveEntry(entry), Step::Sync, Step::RemoveFiles { files, .. }, Step::Sync] = early.as_slice() else {
        panic!("{early:?}")
    };
    assert!(entry.contains("-010101010101."), "{entry}");
    assert_eq!(files.first().map(String::as_str), Some("uki-6.1-000000000001.efi"));
    assert_eq!(removed(&update, &target).len(), 1, "once is enough");
    let end = steps.iter().fold(target.clone(), |mut target, step| {
        apply(&mut target, step);
        target
    });
    require_exactly(&update, &end);
    // What boots now has to wait, so there is no room for all of it.
    let alone = list(vec![with_image(3, 1, 3)], 0);
    let mut target = projected(&list(vec![with_image(2, 1, 2)], 0), empty());
    target.free = 4 * CLUSTER;
    assert!(matches!(plan(&alone, &target), Err(PlanError::NoRoom(_))));
}

#[test]
fn of_a_kernel_that_boots_now_nothing_goes_to_make_room_for_an_image() {
    let mut target = projected(&list(vec![listed(1, 1, 1)], 0), empty());
    let Some(Found::Directory { sums: Some(sums), files }) = target.payloads.get_mut(&kernel_path(1)) else {
        panic!("{target:?}")
    };
    // Its entry names a directory of device trees, and a file that a FIPS kernel looks for is in no entry.
    for name in ["dtb/a.dtb", ".vmlinuz.hmac"] {
        sums.insert(name.to_owned());
        files.insert(name.to_owned(), 100 * CLUSTER);
    }
    target.free = 4 * CLUSTER;
    assert!(matches!(plan(&list(vec![with_image(2, 1, 2)], 0), &target), Err(PlanError::NoRoom(_))));
}
