//! Further ESPs: what the first one says has come up, without a counter.

use ostree_formats::entry_name::Tries;

use super::super::{further, further_in_the_end, may_boot_another};
use super::*;

fn tries(left: u32, done: u32) -> Option<Tries> {
    Some(Tries { left, done: Some(done) })
}

/// The counter of the first entry in the menu.
fn set(target: &mut Target, tries: Option<Tries>) {
    let entry = target.entries.iter_mut().max_by_key(|entry| entry.name.order).unwrap();
    entry.name.tries = tries;
}

#[test]
fn a_deployment_on_trial_is_not_there_until_it_has_come_up() {
    let old = list(vec![listed(1, 1, 1), listed(9, 9, 9)], 3);
    let (first, other) = (projected(&old, empty()), projected(&further(&old, &empty()), empty()));
    assert_eq!(menu(&other), menu(&first), "nothing counts yet: both have the same");
    assert_eq!(other.payloads, first.payloads);

    let update = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3);
    // The same before the first one is written and afterwards.
    let wanted = |first: &Target| further(&update, first);
    let before: Vec<_> = wanted(&first).deployments.into_iter().map(|listed| listed.deployment).collect();
    let mut first = projected(&update, first);
    assert_eq!(before, [deployment(1)]);
    assert!(may_boot_another(&update, &other), "the removed one is there until it is written");
    let other = projected(&wanted(&first), other);
    assert_eq!(menu(&other), [("010101010101".to_owned(), None)]);
    assert!(!may_boot_another(&update, &other));
    require_exactly(&wanted(&first), &other);

    // Tried, bad, tried again: still not.
    for counter in [tries(2, 1), tries(0, 3), tries(3, 0)] {
        set(&mut first, counter);
        assert_eq!(plan(&wanted(&first), &other).unwrap(), []);
    }
    for step in bless(&update, &first, &deployment(2)) {
        apply(&mut first, &step);
    }
    let other = projected(&wanted(&first), other);
    assert_eq!(menu(&other), [("020202020202".to_owned(), None), ("010101010101".to_owned(), None)]);
    assert_eq!(plan(&wanted(&first), &other).unwrap(), []);
    assert!(other.entries.iter().all(|entry| !entry.text.as_ref().unwrap().contains("panic=30")));
}

#[test]
fn a_counter_that_is_there_goes() {
    let old = list(vec![listed(1, 1, 1)], 3);
    let update = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 3);
    // It was the ESP that was booted from, and counts; on the first one all are good.
    let mut other = projected(&update, projected(&old, empty()));
    let first = projected(&list(update.deployments.clone(), 0), empty());
    for counter in [tries(3, 0), tries(0, 3)] {
        set(&mut other, counter);
        let written = projected(&further(&update, &first), other.clone());
        assert_eq!(menu(&written), [("020202020202".to_owned(), None), ("010101010101".to_owned(), None)]);
        assert_eq!(plan(&further(&update, &first), &written).unwrap(), []);
    }
    // A counter was added by hand, to an entry whose text has none.
    let mut other = projected(&further(&update, &first), empty());
    set(&mut other, tries(0, 9));
    assert_eq!(menu(&projected(&further(&update, &first), other))[0], ("020202020202".to_owned(), None));
}

#[test]
fn what_is_in_no_list_is_noticed() {
    let both = list(vec![listed(2, 2, 2), listed(1, 1, 1)], 0);
    let mut target = projected(&both, empty());
    let one = list(vec![listed(2, 2, 2)], 0);
    assert!(!may_boot_another(&both, &target) && may_boot_another(&one, &target));
    // It is in the list, and cannot be read now.
    let mut unreadable = one.clone();
    unreadable.unreadable.push(deployment(1));
    assert!(!may_boot_another(&unreadable, &target));
    // An entry that cannot be read: its name says what it is of.
    target.entries.iter_mut().for_each(|entry| entry.text = None);
    assert!(!may_boot_another(&both, &target) && may_boot_another(&one, &target));
    // Room is looked for before all of it has come up.
    let update = list(vec![listed(3, 3, 3), listed(2, 2, 2)], 3);
    target.free = 4 * CLUSTER;
    assert!(matches!(plan(&further_in_the_end(&update), &target), Err(PlanError::NoRoom(_))));
}
