//! Any list on any target: every prefix of the steps leaves a default that is whole, and ends in the same state.

use std::collections::BTreeSet;

use ostree_formats::entry_name::Tries;
use proptest::prelude::*;

use super::super::plan;
use super::model::*;
use crate::list::List;

fn lists() -> impl Strategy<Value = List> {
    // Images beside kernels that others boot without them, and other images of the same deployment and kernel.
    let one = (1..6u8, 1..4u8, 1..3u8, 0..5u8);
    (proptest::collection::vec(one, 1..5), 0..4u32).prop_map(|(numbers, tries)| {
        let mut seen = BTreeSet::new();
        let deployments = numbers.into_iter().filter(|(number, ..)| seen.insert(*number));
        let one = |(number, kernel, version, image)| match image {
            image @ 1..=2 => with_image(number, kernel, image),
            _ => listed(number, kernel, version),
        };
        list(deployments.map(one).collect(), tries)
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
        require_exactly(&list, &end);
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
            let finished = projected(&list, now.clone());
            prop_assert_eq!(menu(&finished), menu(&end));
            prop_assert_eq!(&finished.payloads, &end.payloads);
        }
    }
}
