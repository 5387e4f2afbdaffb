//! os-release(5): the name of a tree.

/// The two names that a boot menu can show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `PRETTY_NAME`.
    pub pretty_name: Option<String>,
    /// `ID`.
    pub id: Option<String>,
}

impl OsRelease {
    /// Reads the file. Ignores a line that is not an assignment of a shell. Of two assignments the last one counts.
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((key, value)) = line.split_once('=') else { continue };
            let slot = match key {
                "PRETTY_NAME" => &mut found.pretty_name,
                "ID" => &mut found.id,
                _ => continue,
            };
            if let Some(value) = unquoted(value) {
                *slot = Some(value);
            }
        }
        found
    }

    /// The text in a boot menu.
    pub fn title(&self) -> Option<&str> {
        self.pretty_name.as_deref().or(self.id.as_deref())
    }
}

/// One word of a shell, without its quotes; `None`: a quote is never closed.
fn unquoted(value: &str) -> Option<String> {
    let mut out = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => loop {
                match characters.next()? {
                    '\'' => break,
                    other => out.push(other),
                }
            },
            '"' => loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => match characters.next()? {
                        escaped @ ('"' | '\\' | '$' | '`') => out.push(escaped),
                        other => out.extend(['\\', other]),
                    },
                    other => out.push(other),
                }
            },
            '\\' => out.extend(characters.next()),
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn title(text: &str) -> Option<String> {
        OsRelease::parse(text).title().map(str::to_owned)
    }

    #[test]
    fn quotes_are_taken_off_as_a_shell_does() {
        assert_eq!(title("ID=debian\nPRETTY_NAME=\"Debian \\\"x\\\" 13\"\n").as_deref(), Some("Debian \"x\" 13"));
        assert_eq!(title("PRETTY_NAME='It'\\''s'\n").as_deref(), Some("It's"));
        assert_eq!(title("ID=fedora\nPRETTY_NAME=\"open\n").as_deref(), Some("fedora"));
        assert_eq!(title("#ID=no\nNAME=no\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(PRETTY_NAME|ID)=[\"'\\\\a $`\n]{0,20}") {
            let _ = OsRelease::parse(&text);
        }
    }
}
