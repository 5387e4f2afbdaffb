//! The arguments of a kernel command line: where each ends, and what its name and its value are.
//!
//! By what the kernel does (`next_arg` in lib/cmdline.c): double quotes protect white space, and of an argument the quotes around all of
//! it or around its value are no part of it.

/// One argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Argument<'a> {
    /// As written.
    pub(super) text: &'a [u8],
    /// Before the first `=`.
    pub(super) name: &'a [u8],
    /// After it; `None` without a `=`.
    pub(super) value: Option<&'a [u8]>,
}

/// Those for the kernel: after `--` they are for init.
pub(super) fn arguments(line: &[u8]) -> impl Iterator<Item = Argument<'_>> {
    let mut rest = line;
    let words = std::iter::from_fn(move || {
        rest = rest.trim_ascii_start();
        let mut is_quoted = false;
        let end = rest.iter().position(|byte| {
            is_quoted ^= *byte == b'"';
            !is_quoted && byte.is_ascii_whitespace()
        });
        let (word, after) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = after;
        (!word.is_empty()).then_some(word)
    });
    words.take_while(|word| *word != b"--").map(argument)
}

fn argument(text: &[u8]) -> Argument<'_> {
    let unquoted = text.strip_prefix(b"\"").unwrap_or(text);
    let unquoted = unquoted.strip_suffix(b"\"").unwrap_or(unquoted);
    let mut halves = unquoted.splitn(2, |byte| *byte == b'=');
    let name = halves.next().unwrap_or_default();
    // The closing quote of a value was the last byte of the argument.
    let value = halves.next().map(|value| value.strip_prefix(b"\"").unwrap_or(value));
    Argument { text, name, value }
}

#[cfg(test)]
mod tests {
    use linux_kernel_cmdline::bytes::Cmdline;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_protect_white_space() {
        let read = |line: &'static str| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let pairs = arguments(line.as_bytes()).map(|one| (text(one.name), one.value.map(text)));
            pairs.collect::<Vec<_>>()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        assert_eq!(read(" a=\"b c\"\t\"d=e f\" g= -- h=i"), [pair("a", "b c"), pair("d", "e f"), pair("g", "")]);
        assert_eq!(read("quiet \"x"), [("quiet".to_owned(), None), ("x".to_owned(), None)]);
    }

    proptest! {
        /// Another implementation reads the same.
        #[test]
        fn as_linux_kernel_cmdline_reads_it(line in "[ab=\" \t\n-]{0,40}") {
            let line = line.as_bytes();
            let theirs = Cmdline::from(line);
            let theirs = theirs.iter().take_while(|one| **one != *b"--");
            let theirs: Vec<_> = theirs.map(|one| (one.to_vec(), one.key().to_vec(), one.value().map(<[u8]>::to_vec))).collect();
            let ours = arguments(line).map(|one| (one.text.to_vec(), one.name.to_vec(), one.value.map(<[u8]>::to_vec)));
            prop_assert_eq!(ours.collect::<Vec<_>>(), theirs);
        }
    }
}
