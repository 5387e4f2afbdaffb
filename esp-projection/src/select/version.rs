//! The order of versions of the UAPI group's "Version Format Specification" (UAPI.10), which systemd-boot sorts by.
//!
//! It is another one than strverscmp(3)'s, which GRUB and libostree use.

use std::cmp::Ordering;

/// Compares two versions: greater is newer.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one.as_bytes(), other.as_bytes());
    loop {
        (a, b) = (skip(a, |byte| !is_of_a_version(byte)), skip(b, |byte| !is_of_a_version(byte)));
        if let Some(order) = separator(b'~', &mut a, &mut b) {
            return order;
        }
        // What has more behind it is newer, unless that begins with a tilde.
        if a.is_empty() || b.is_empty() {
            return (!a.is_empty()).cmp(&!b.is_empty());
        }
        for mark in [b'-', b'^', b'.'] {
            if let Some(order) = separator(mark, &mut a, &mut b) {
                return order;
            }
        }
        let is_digit = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
        let (order, rest_a, rest_b) = if is_digit(a) || is_digit(b) { numbers(a, b) } else { words(a, b) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn is_of_a_version(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'-' | b'^' | b'.')
}

fn skip(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> &[u8] {
    let length = text.iter().take_while(|byte| is_skipped(**byte)).count();
    text.get(length..).unwrap_or_default()
}

/// The text that begins with this mark is older; if both do, it is passed.
fn separator(mark: u8, a: &mut &[u8], b: &mut &[u8]) -> Option<Ordering> {
    match (a.strip_prefix(&[mark]), b.strip_prefix(&[mark])) {
        (None, None) => None,
        (Some(rest_a), Some(rest_b)) => {
            (*a, *b) = (rest_a, rest_b);
            None
        }
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
    }
}

/// Numbers are newer than words, and compared by their value, which may be of any length.
fn numbers<'a>(a: &'a [u8], b: &'a [u8]) -> (Ordering, &'a [u8], &'a [u8]) {
    let ((run, rest_a), (other, rest_b)) =
        (split(a, |byte| byte.is_ascii_digit()), split(b, |byte| byte.is_ascii_digit()));
    let value = |run| skip(run, |byte| byte == b'0');
    let order = (!run.is_empty())
        .cmp(&!other.is_empty())
        .then_with(|| value(run).len().cmp(&value(other).len()))
        .then_with(|| value(run).cmp(value(other)));
    (order, rest_a, rest_b)
}

fn words<'a>(a: &'a [u8], b: &'a [u8]) -> (Ordering, &'a [u8], &'a [u8]) {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    let ((run, rest_a), (other, rest_b)) = (split(a, is_letter), split(b, is_letter));
    (run.cmp(other), rest_a, rest_b)
}

fn split(text: &[u8], is_in: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| is_in(**byte)).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_in_the_order_of_the_specification() {
        // Each is older than the next.
        let order = [
            "~1",
            "",
            "~",
            "ab",
            "abb",
            "abc",
            "0001",
            "002",
            "12",
            "122",
            "122.9",
            "123~rc1",
            "123",
            "123-a",
            "123-a.1",
            "123-a1",
            "123-a1.1",
            "123-3",
            "123-3.1",
            "123^patch1",
            "123^1",
            "123.a-1",
            "123.1-1",
            "123a-1",
            "124",
        ];
        // The first three: a tilde is older than nothing, and nothing more than nothing.
        assert_eq!(compare("~1", ""), Ordering::Less);
        assert_eq!(compare("~", ""), Ordering::Less);
        for pair in order[3..].windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("1_2", "1+2"), Ordering::Equal);
        assert_eq!(compare("000", "0"), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn the_order_has_two_directions(a in "[0a~^.+-]{0,3}[0-9]{0,4}.{0,3}", b in "[0a~^.+-]{0,3}[0-9]{0,4}.{0,3}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }

        #[test]
        fn the_orders_of_projected_entries_are_numbers(a in 0..1_000_000u32, b in 0..1_000_000u32) {
            prop_assert_eq!(compare(&format!("{a:06}"), &format!("{b:06}")), a.cmp(&b));
        }
    }
}
