//! Text for a console: a name on a disk must not move the cursor, begin a line, or change the direction of text.

use std::borrow::Cow;
use std::fmt::Write;

/// The text with every character that is not shown as itself made visible (`\n`, `\u{1b}`): control characters of ASCII and
/// of ISO 8859-1, line and paragraph separators, and what changes direction or is invisible.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |out, c| out.extend(c.escape_default()))
}

/// The lines of a text, each of them [`printable`]: line feeds stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |out, c| match c {
        '\n' => out.push(c),
        _ => out.extend(c.escape_default()),
    })
}

/// The same for JSON, with JSON escapes. The line feeds between its values stay.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    escaped(json, |out, c| match c {
        '\n' => out.push(c),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    })
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Whether a console would not show this character as itself.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            // Zero width, and left-to-right or right-to-left marks.
            | '\u{200b}'..='\u{200f}'
            // Line and paragraph separator, embeddings and overrides of direction.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, and shaping.
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_hidden_is_seen() {
        assert_eq!(printable("Fedora Größe – ostree:0"), "Fedora Größe – ostree:0");
        assert_eq!(printable("a\x1b[2Jb\nc\r\t\x7f\u{9b}31m"), r"a\u{1b}[2Jb\nc\r\t\u{7f}\u{9b}31m");
        assert_eq!(printable("evil\u{202e}fdp.exe"), r"evil\u{202e}fdp.exe");
        assert_eq!(printable_lines("one\ntwo\x1b\n"), "one\ntwo\\u{1b}\n");
    }

    #[test]
    fn json_stays_json() {
        assert_eq!(
            printable_json("{\n  \"a\": \"\u{7f}\u{202e}\u{e0041}ü\"\n}"),
            "{\n  \"a\": \"\\u007f\\u202e\\udb40\\udc41ü\"\n}"
        );
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text: String, odd in "[\0-\u{1f}\u{7f}-\u{9f}\u{2028}-\u{202e}a]{0,9}") {
            let text = text + &odd;
            prop_assert!(!printable(&text).contains(is_hidden));
            prop_assert!(!printable_lines(&text).replace('\n', "").contains(is_hidden));
            prop_assert!(!printable_json(&text).replace('\n', "").contains(is_hidden));
        }
    }
}
