//! Which place each entry has in the menu: orders that fall along the list.

use std::collections::BTreeSet;

/// The order of each deployment of a list, the default first, and whether it is that of its current entry.
///
/// `current` has the orders of the current entries, where a deployment has one; `used` all orders on the target; `rivals` the orders of
/// entries that a boot loader might take before the default.
pub(super) fn assign(current: &[Option<u32>], used: &BTreeSet<u32>, rivals: &BTreeSet<u32>) -> Vec<(u32, bool)> {
    let highest = used.last().copied().unwrap_or(0);
    let new = u32::try_from(current.len()).unwrap_or(u32::MAX);
    let default = current.first().copied().flatten();
    let keeps = default.filter(|order| rivals.last().is_none_or(|rival| rival < order));
    // Room is left below it for those that follow.
    let top = keeps.unwrap_or_else(|| highest.saturating_add(new));
    let kept = kept_below(top, current);
    between(top, keeps.is_some(), &kept, used)
        .unwrap_or_else(|| (0..new).map(|index| (highest.saturating_add(new - index), false)).collect())
}

/// From the last one upwards: an order is kept if it is above those that are kept below it, and below the default's.
fn kept_below(top: u32, current: &[Option<u32>]) -> Vec<Option<u32>> {
    let mut floor = 0;
    let mut kept: Vec<Option<u32>> = current
        .iter()
        .skip(1)
        .rev()
        .map(|order| {
            let order = order.filter(|order| floor < *order && *order < top)?;
            floor = order;
            Some(order)
        })
        .collect();
    kept.reverse();
    kept
}

/// Finds orders for those that keep none, between their neighbours. `None`: there is no room for one.
fn between(top: u32, top_is_kept: bool, kept: &[Option<u32>], used: &BTreeSet<u32>) -> Option<Vec<(u32, bool)>> {
    let mut all = vec![(top, top_is_kept)];
    let mut above = top;
    for (index, order) in kept.iter().enumerate() {
        if let Some(order) = order {
            all.push((*order, true));
            above = *order;
            continue;
        }
        let below = kept.iter().skip(index).find_map(|order| *order).unwrap_or(0);
        let free = (below.saturating_add(1)..above).rev().find(|order| !used.contains(order))?;
        all.push((free, false));
        above = free;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(current: &[Option<u32>]) -> Vec<(u32, bool)> {
        let used: BTreeSet<u32> = current.iter().flatten().copied().collect();
        let rivals = current.iter().skip(1).flatten().copied().collect();
        assign(current, &used, &rivals)
    }

    #[test]
    fn the_default_is_the_highest_and_what_can_stay_stays() {
        assert_eq!(of(&[None, None]), [(2, false), (1, false)]);
        assert_eq!(of(&[Some(2), Some(1)]), [(2, true), (1, true)]);
        // An update; the other one is made the default; one is added that is not the default.
        assert_eq!(of(&[None, Some(2)]), [(4, false), (2, true)]);
        assert_eq!(of(&[Some(1), Some(2)]), [(4, false), (2, true)]);
        assert_eq!(of(&[Some(4), None, Some(2)]), [(4, true), (3, false), (2, true)]);
        // Where there is no place between, all are written.
        assert_eq!(of(&[Some(3), None, Some(2)]), [(6, false), (5, false), (4, false)]);
    }

    proptest! {
        #[test]
        fn orders_fall_and_new_ones_are_new(current in proptest::collection::vec(proptest::option::of(1..30u32), 1..8), others: BTreeSet<u8>) {
            let mut used: BTreeSet<u32> = current.iter().flatten().copied().collect();
            prop_assume!(used.len() == current.iter().flatten().count());
            used.extend(others.iter().map(|order| u32::from(order % 40)));
            let rivals: BTreeSet<u32> = used.iter().copied().filter(|order| current.first() != Some(&Some(*order))).collect();
            let all = assign(&current, &used, &rivals);
            prop_assert_eq!(all.len(), current.len());
            prop_assert!(all.windows(2).all(|pair| matches!(pair, [(above, _), (below, _)] if above > below)), "{:?}", all);
            for ((order, is_kept), current) in all.iter().zip(&current) {
                if *is_kept { prop_assert_eq!(Some(*order), *current) } else { prop_assert!(!used.contains(order)) }
            }
            prop_assert!(rivals.iter().all(|rival| *rival < all[0].0));
        }
    }
}
