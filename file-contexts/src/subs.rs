//! Substitutions: a directory that is labelled like another one.

use std::borrow::Cow;

use crate::lines::is_space;

/// The lines of one file of substitutions.
#[derive(Debug, Default)]
pub(crate) struct Substitutions {
    /// Old and new directories, one behind the other.
    text: Vec<u8>,
    /// The last line of the file first: the first one that fits counts.
    entries: Vec<Substitution>,
}

#[derive(Debug, Clone, Copy)]
struct Substitution {
    /// Where the old directory begins in the text; the new one follows it.
    start: usize,
    old_length: usize,
    new_length: usize,
}

impl Substitutions {
    /// Reads a file. As for libselinux, a line with one word is none.
    pub(crate) fn parse(text: &[u8]) -> Substitutions {
        let mut found = Substitutions::default();
        for line in text.split(|byte| *byte == b'\n') {
            let mut words = line.split(|byte| is_space(*byte)).filter(|word| !word.is_empty());
            let (Some(old), Some(new)) = (words.next(), words.next()) else { continue };
            if old.starts_with(b"#") {
                continue;
            }
            let start = found.text.len();
            found.entries.push(Substitution { start, old_length: old.len(), new_length: new.len() });
            found.text.extend([old, new].concat());
        }
        found.entries.reverse();
        found
    }

    /// The path that counts in place of this one.
    pub(crate) fn apply<'a>(&self, path: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        let fitting = self.entries.iter().find_map(|entry| {
            let words = self.text.get(entry.start..)?;
            let (old, rest) = words.split_at_checked(entry.old_length)?;
            let below = path.strip_prefix(old).filter(|below| below.is_empty() || below.starts_with(b"/"))?;
            Some((rest.get(..entry.new_length)?, below))
        });
        match fitting {
            // No second separator.
            Some((b"/", [_, below @ ..])) => Cow::Owned([b"/", below].concat()),
            Some((new, below)) => Cow::Owned([new, below].concat()),
            None => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, path: &str) -> String {
        let path = Substitutions::parse(text.as_bytes()).apply(Cow::Borrowed(path.as_bytes())).into_owned();
        String::from_utf8(path).unwrap()
    }

    #[test]
    fn a_directory_is_replaced_up_to_its_end() {
        let text = "# comment\n\n/run /var/run\n  /lib64\t/lib  more\n/alone\n";
        for (path, wanted) in [
            ("/run", "/var/run"),
            ("/run/a", "/var/run/a"),
            ("/runner", "/runner"),
            ("/lib64/a", "/lib/a"),
            ("/alone", "/alone"),
        ] {
            assert_eq!(applied(text, path), wanted);
        }
    }

    #[test]
    fn the_last_line_counts_and_only_one() {
        assert_eq!(applied("/a /b\n/a /c\n/c /d\n", "/a/x"), "/c/x");
        assert_eq!(applied("/a/b /b\n/a /c\n", "/a/b/x"), "/c/b/x");
    }

    #[test]
    fn the_root_gets_no_second_separator() {
        assert_eq!(applied("/sysroot /\n", "/sysroot/etc"), "/etc");
        assert_eq!(applied("/sysroot /\n", "/sysroot"), "/");
    }
}
