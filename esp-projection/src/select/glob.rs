//! The patterns of `loader.conf`, as systemd-boot matches them: `*`, `?`, `[a-z]`, and `\` before what is meant literally.

/// Whether a pattern matches the whole of a text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Behind the last asterisk, and where its text ends as far as it is tried: an earlier one need not be tried again.
    let mut asterisk: Option<(usize, usize)> = None;
    loop {
        let next = match pattern.get(at) {
            None if read == text.len() => return true,
            Some('*') => {
                at += 1;
                asterisk = Some((at, read));
                continue;
            }
            _ => text.get(read).and_then(|c| one(&pattern, at, *c)),
        };
        if let Some(next) = next {
            (at, read) = (next, read + 1);
            continue;
        }
        let Some((behind, tried)) = asterisk.filter(|(_, tried)| *tried < text.len()) else { return false };
        asterisk = Some((behind, tried + 1));
        (at, read) = (behind, tried + 1);
    }
}

/// Matches one character; where the pattern goes on.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '\\' => pattern.get(at + 1).filter(|literal| **literal == c).map(|_| at + 2),
        '[' => set(pattern, at + 1, c),
        literal => (*literal == c).then_some(at + 1),
    }
}

/// A set, behind its bracket. A `]` that is first is one of its characters, and so is a `-` that is first or last.
fn set(pattern: &[char], start: usize, c: char) -> Option<usize> {
    let (mut at, mut is_in, mut may_begin_range) = (start, false, false);
    loop {
        match pattern.get(at)? {
            ']' if at > start => return is_in.then_some(at + 1),
            '-' if may_begin_range && pattern.get(at + 1) != Some(&']') => {
                let low = pattern.get(at.checked_sub(1)?)?;
                at += if pattern.get(at + 1) == Some(&'\\') { 2 } else { 1 };
                is_in |= (low..=pattern.get(at)?).contains(&&c);
                may_begin_range = false;
            }
            other => {
                let literal = if *other == '\\' {
                    at += 1;
                    pattern.get(at)?
                } else {
                    other
                };
                is_in |= *literal == c;
                may_begin_range = true;
            }
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_systemd_boot() {
        for (pattern, text, is_match) in [
            ("", "", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a?c", "abc", true),
            ("?", "", false),
            ("*", "", true),
            ("ostree-*", "ostree-1+2-0.conf", true),
            ("ostree-*.conf", "ostree-1.conf.old", false),
            ("*a*b", "xaybzb", true),
            ("*a*b", "xbya", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[]a]", "]", true),
            ("[-a]", "-", true),
            ("[a-]", "-", true),
            ("[a-c-f]", "e", false),
            ("[\\]]", "]", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} and {text}");
        }
    }

    #[test]
    fn many_asterisks_take_no_long_time() {
        assert!(!matches(&"*a".repeat(5000), &"a".repeat(4000)));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_what_begins_it(text in "[a-z0-9+.-]{0,20}", cut in 0usize..20) {
            prop_assert!(matches(&text, &text));
            let begins = format!("{}*", &text[..cut.min(text.len())]);
            prop_assert!(matches(&begins, &text));
        }

        #[test]
        fn no_pattern_panics(pattern in ".*", text in ".*") {
            let _ = matches(&pattern, &text);
            let _ = matches(&format!("[{pattern}"), &text);
        }
    }
}
