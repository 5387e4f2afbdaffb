//! Commands that an administrator can paste into a shell.

use std::borrow::Cow;
use std::fmt::Write;

use crate::printable::is_hidden;

/// A text as one word of a POSIX shell: unchanged if it has no special characters, otherwise in quotes. Characters that a console
/// would not show are written with `printf(1)`, so that the command is what it looks like.
///
/// Line feeds at the end of the text are lost.
pub fn quoted(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    if !text.contains(is_hidden) {
        return Cow::Owned(format!("'{}'", text.replace('\'', r#"'"'"'"#)));
    }
    let mut out = String::from("\"$(printf '");
    for (index, c) in text.chars().enumerate() {
        match c {
            '%' => out.push_str("%%"),
            '\\' => out.push_str(r"\\"),
            // Not an option of printf.
            '-' if index == 0 => out.push_str(r"\055"),
            '\'' => out.push_str(r"\047"),
            // In double quotes an interactive shell would expand it from its history.
            '!' => out.push_str(r"\041"),
            c if is_hidden(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\{byte:03o}");
                }
            }
            c => out.push(c),
        }
    }
    out.push_str("')\"");
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quoted;
    use proptest::prelude::*;

    /// What a command gets as its argument, each word of `words` as its own.
    fn as_a_shell_reads(shell: &str, words: &[String]) -> Vec<String> {
        let words: String = words.iter().map(|word| format!(" {word}")).collect();
        let output = Command::new(shell).args(["-c", &format!("printf '%s\\0'{words}")]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(quoted("/sysroot/ostree/boot.1/debian/a=b/0"), "/sysroot/ostree/boot.1/debian/a=b/0");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted("it's"), r#"'it'"'"'s'"#);
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a\x1b[2J%"), r#""$(printf 'a\033[2J%%')""#);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_what_was_meant(texts in proptest::collection::vec(
            prop_oneof!["[^\0]{0,20}", "[-'\"$`\\\\%! \n\t*?~#;&|<>(){}\\[\\]a0-7\x1b\u{202e}]{0,12}"], 1..20)) {
            let meant: Vec<String> = texts.iter().map(|text| text.trim_end_matches('\n').to_owned()).collect();
            let words: Vec<String> = texts.iter().map(|text| quoted(text).into_owned()).collect();
            prop_assert!(!words.concat().contains(crate::printable::is_hidden));
            prop_assert_eq!(as_a_shell_reads("sh", &words), meant.clone());
            prop_assert_eq!(as_a_shell_reads("bash", &words), meant);
        }
    }
}
