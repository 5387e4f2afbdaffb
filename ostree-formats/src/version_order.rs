//! The order of versions, as strverscmp(3) defines it: entries are read back in it.

use std::cmp::Ordering;

/// Compares two texts; runs of digits count as numbers, those with leading zeros as fractions.
pub fn strverscmp(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    // Where the run of digits begins in which the two differ.
    let shared = one.get(..same).unwrap_or_default();
    let start = shared.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let (run, other_run) = (digits(one, start), digits(other, start));
    let next = |text: &[u8]| text.get(same).copied();
    let both_in_a_run = !run.is_empty() && !other_run.is_empty() && (digit(next(one)) || digit(next(other)));
    if !both_in_a_run {
        return next(one).cmp(&next(other));
    }
    let zeros = |run: &[u8]| run.iter().take_while(|byte| **byte == b'0').count();
    match (zeros(run), zeros(other_run)) {
        // Two numbers: the longer one is larger.
        (0, 0) => run.len().cmp(&other_run.len()).then_with(|| next(one).cmp(&next(other))),
        // Fractions: 000 < 00 < 01 < 010 < 09 < 0 < 1.
        (zeros, other_zeros) => {
            let all_zeros = (zeros == run.len(), other_zeros == other_run.len());
            match (zeros.cmp(&other_zeros), all_zeros) {
                // The common part is only zeros, and one text has more of them.
                (order @ (Ordering::Less | Ordering::Greater), _) => order.reverse(),
                (Ordering::Equal, (true, false)) => Ordering::Greater,
                (Ordering::Equal, (false, true)) => Ordering::Less,
                (Ordering::Equal, _) => next(one).cmp(&next(other)),
            }
        }
    }
}

fn digits(text: &[u8], start: usize) -> &[u8] {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest.get(..length).unwrap_or_default()
}

fn digit(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_the_manual_page_says() {
        // strverscmp(3), "Examples", and the numbers that entries have.
        let order = ["000", "00", "01", "010", "09", "0", "1", "9", "10"];
        for pair in order.windows(2) {
            assert_eq!(strverscmp(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(strverscmp(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(strverscmp("jan1", "jan10"), Ordering::Less);
        assert_eq!(strverscmp("jan2", "jan10"), Ordering::Less);
        assert_eq!(strverscmp("a", "b"), Ordering::Less);
        assert_eq!(strverscmp("", "1"), Ordering::Less);
        assert_eq!(strverscmp("x9", "x9"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn numbers_are_in_the_order_of_numbers(a: u32, b: u32) {
            prop_assert_eq!(strverscmp(&a.to_string(), &b.to_string()), a.cmp(&b));
        }

        #[test]
        fn the_order_has_two_directions(a in "[0a]{0,3}[0-9]{0,4}[a-c.]{0,2}", b in "[0a]{0,3}[0-9]{0,4}[a-c.]{0,2}") {
            prop_assert_eq!(strverscmp(&a, &b), strverscmp(&b, &a).reverse());
        }
    }
}
