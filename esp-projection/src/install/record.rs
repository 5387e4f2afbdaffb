//! What `install` has written on the ESP: only that is removed, and only as long as it is unchanged.

use ostree_formats::deployment::Checksum;
use ostree_formats::projected_entry::Token;

const HEAD: &str =
    "# written by firstroot esp install; firstroot esp uninstall removes these files if they are unchanged\n";

/// Checksums by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    files: Vec<(String, String)>,
}

impl Record {
    /// Where it is on the ESP.
    pub fn path(token: &Token) -> String {
        format!("loader/{token}.installed")
    }

    /// Reads it, in the format of sha256sum(1). A line that is none says nothing.
    pub fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (sum, path) = line.split_once("  ")?;
            sum.parse::<Checksum>().ok()?;
            Some((path.to_owned(), sum.to_owned()))
        };
        Self { files: text.lines().filter_map(line).collect() }
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let lines: String = self.files.iter().map(|(path, sum)| format!("{sum}  {path}\n")).collect();
        format!("{HEAD}{lines}")
    }

    /// Adds a file, or changes its checksum.
    pub fn add(&mut self, path: &str, sum: &str) {
        self.files.retain(|(other, _)| other != path);
        self.files.push((path.to_owned(), sum.to_owned()));
    }

    /// Whether a file with this content was written by `install`.
    pub fn has(&self, path: &str, sum: &str) -> bool {
        self.files.iter().any(|(written, with)| written == path && with == sum)
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}
