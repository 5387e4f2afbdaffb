//! Boot Loader Specification entries of type 1 (uapi-group.org, "The Boot Loader Specification").

use std::collections::BTreeMap;

use crate::keyfile::shorten;

/// An entry: its fields in their order. Comments and empty lines are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlsEntry {
    fields: Vec<(String, String)>,
}

/// Why bytes are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlsError {
    /// Not text.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// A byte that boot loaders do not accept.
    #[error("line {0}: a NUL byte")]
    Nul(usize),
}

/// Why a key and a value cannot be a field of an entry: the line would be read as another field, or as several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The key is empty, begins as a comment does, or has white space or a control character in it.
    #[error("{0:?} cannot be a key of a boot loader entry")]
    Key(String),
    /// The value has a line break in it.
    #[error("the value of the key {0:?} has a line break")]
    Value(String),
}

/// Checks whether a key and a value from another source can be a field of an entry.
///
/// # Errors
/// See [`FieldError`].
pub fn check_field(key: &str, value: &str) -> Result<(), FieldError> {
    if key.is_empty() || key.starts_with('#') || key.contains(is_no_key) {
        return Err(FieldError::Key(shorten(key)));
    }
    if value.contains(breaks_line) { Err(FieldError::Value(shorten(key))) } else { Ok(()) }
}

/// The last position of each key.
pub(crate) fn last_of_each<'a>(keys: &mut dyn Iterator<Item = &'a str>) -> BTreeMap<&'a str, Option<usize>> {
    let mut last = BTreeMap::new();
    for (index, key) in keys.enumerate() {
        last.insert(key, Some(index));
    }
    last
}

fn is_no_key(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Characters at which a boot loader, or any reader of text, may begin a new line.
pub(crate) fn breaks_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\0' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// White space of a boot loader: another kind is a part of a word, to the kernel as well.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || breaks_line(c)
}

/// The text on one line, whatever reads it.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(breaks_line, " ")
}

/// Keys that come first, in the order in which libostree writes them.
const FIRST: [&str; 6] = ["title", "version", "options", "devicetree", "linux", "initrd"];

impl BlsEntry {
    /// An empty entry that so many fields can be added to without another allocation.
    pub fn with_room_for(fields: usize) -> Self {
        Self { fields: Vec::with_capacity(fields) }
    }

    /// Reads an entry. A key without a value has an empty one.
    ///
    /// # Errors
    /// See [`BlsError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BlsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| BlsError::NotUtf8)?;
        let mut fields = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.contains('\0') {
                return Err(BlsError::Nul(number));
            }
            let line = line.trim_matches(is_space);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            fields.push((key.to_owned(), value.trim_start_matches(is_space).to_owned()));
        }
        Ok(Self { fields })
    }

    /// The value of a key. Of repeated keys the last one, as in libostree; of `initrd`, which may be repeated, the first one.
    /// For `options` see [`BlsEntry::all_options`].
    pub fn get(&self, key: &str) -> Option<&str> {
        if key == "initrd" { self.values(key).next() } else { self.values(key).last() }
    }

    /// All values of a key: `initrd` and `options` may be repeated.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The kernel arguments. Boot loaders join several `options` lines in their order.
    pub fn all_options(&self) -> String {
        self.values("options").collect::<Vec<_>>().join(" ")
    }

    /// Gives a key one value, in its place if it exists.
    pub fn set(&mut self, key: &str, value: &str) {
        self.set_all(&[(key, value)]);
    }

    /// Gives each of these keys one value, the last one of the list: in its place if the key exists, otherwise at the end.
    pub fn set_all(&mut self, fields: &[(&str, &str)]) {
        let mut new = last_of_each(&mut fields.iter().map(|(key, _)| *key));
        self.fields.retain_mut(|(name, old)| {
            // The first keeps its place, the others go.
            match new.get_mut(name.as_str()).map(Option::take) {
                None => true,
                Some(None) => false,
                Some(Some(index)) => {
                    fields.get(index).map(|(_, value)| *value).unwrap_or_default().clone_into(old);
                    true
                }
            }
        });
        for (index, (key, value)) in fields.iter().enumerate() {
            if new.get(key) == Some(&Some(index)) {
                self.push(key, value);
            }
        }
    }

    /// Adds one more value of a key.
    pub fn push(&mut self, key: &str, value: &str) {
        self.fields.push((key.to_owned(), value.to_owned()));
    }

    /// Removes all values of a key.
    pub fn remove(&mut self, key: &str) {
        self.fields.retain(|(name, _)| name != key);
    }

    /// All fields.
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The text, as libostree writes it: some keys first, the others in their own order.
    ///
    /// A field is always one line: line breaks in a value become spaces, and characters that a key cannot have become
    /// `_`.
    pub fn to_text(&self) -> String {
        let first = FIRST.iter().flat_map(|key| self.fields.iter().filter(move |(name, _)| name == key));
        let rest = self.fields.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
        let line = |(key, value): &(String, String)| {
            // Not a comment, and not empty.
            let mark = if key.is_empty() || key.starts_with('#') { "_" } else { "" };
            format!("{mark}{} {}\n", key.replace(is_no_key, "_"), one_line(value))
        };
        first.chain(rest).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn written_in_the_order_of_libostree() {
        let text = "# comment\nx-more  a b \ninitrd /i\ninitrd /overlay\nlinux /k\n\noptions rw ostree=/x\nversion 1\ntitle T\n";
        let entry = BlsEntry::parse(text.as_bytes()).unwrap();
        assert_eq!(
            entry.to_text(),
            "title T\nversion 1\noptions rw ostree=/x\nlinux /k\ninitrd /i\ninitrd /overlay\nx-more a b\n"
        );
        assert_eq!(entry.values("initrd").collect::<Vec<_>>(), ["/i", "/overlay"]);
    }

    #[test]
    fn a_value_is_replaced_in_its_place() {
        let mut entry = BlsEntry::parse(b"a 1\ninitrd /i\ninitrd /j\nb 2\n").unwrap();
        entry.set("initrd", "/new");
        entry.set("c", "3");
        entry.remove("a");
        assert_eq!(entry.fields().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["initrd", "b", "c"]);
        assert_eq!(entry.get("initrd"), Some("/new"));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts() {
        let entry = BlsEntry::parse(b"options a\noptions b\ninitrd /i\ninitrd /j\n").unwrap();
        assert_eq!((entry.get("options"), entry.get("initrd")), (Some("b"), Some("/i")));
    }

    #[test]
    fn neither_a_value_nor_a_key_can_add_a_line_or_be_another_key() {
        let mut entry = BlsEntry::default();
        entry.set("x-note", "a\nlinux /other");
        entry.set("options\rx", "init=/bin/sh");
        entry.set("options\u{85}", "init=/bin/sh");
        assert_eq!(entry.to_text(), "x-note a linux /other\noptions_x init=/bin/sh\noptions_ init=/bin/sh\n");
    }

    #[test]
    fn what_can_be_no_field_is_named() {
        assert_eq!(check_field("x-note", "a b\tc"), Ok(()));
        for key in ["", "#x", "options\rx", "options x", "options\tx", "options\n", "options\u{a0}", "x\u{1b}[2J"] {
            assert_eq!(check_field(key, "v"), Err(FieldError::Key(key.to_owned())), "{key:?}");
        }
        assert_eq!(
            check_field("options\rx", "v").unwrap_err().to_string(),
            r#""options\rx" cannot be a key of a boot loader entry"#
        );
        for value in ["a\nb", "a\rb", "a\0", "\u{2028}"] {
            assert_eq!(check_field("k", value), Err(FieldError::Value("k".to_owned())), "{value:?}");
        }
    }

    #[test]
    fn all_lines_of_options_count() {
        let mut entry = BlsEntry::parse(b"options rw ostree=/x\ntitle T\noptions quiet\n").unwrap();
        assert_eq!(entry.all_options(), "rw ostree=/x quiet");
        entry.set("options", "rw quiet");
        assert_eq!(entry.to_text(), "title T\noptions rw quiet\n");
        assert_eq!(BlsEntry::default().all_options(), "");
    }

    #[test]
    fn many_fields_are_set_as_one_after_another_would() {
        let given = [("b", "1"), ("new", "2"), ("b", "3"), ("c", "4"), ("newer", "5"), ("new", "6")];
        let mut at_once = BlsEntry::parse(b"a 0\nb 0\nc 0\nb 0\n").unwrap();
        at_once.set_all(&given);
        let fields: Vec<_> = at_once.fields().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(fields, [("a", "0"), ("b", "3"), ("c", "4"), ("newer", "5"), ("new", "6")]);
    }

    #[test]
    fn what_is_no_text_is_no_entry() {
        assert_eq!(BlsEntry::parse(b"title \xff\n"), Err(BlsError::NotUtf8));
        assert_eq!(BlsEntry::parse(b"title x\nlinux \0\n"), Err(BlsError::Nul(2)));
        assert_eq!(BlsEntry::parse(b"lonely").unwrap().get("lonely"), Some(""));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = BlsEntry::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read(fields in proptest::collection::vec(("[a-z][a-z-]{0,8}", "[!-~]([ -~]{0,20}[!-~])?"), 0..8)) {
            let mut entry = BlsEntry::default();
            for (key, value) in &fields {
                entry.push(key, value);
            }
            let read = BlsEntry::parse(entry.to_text().as_bytes()).unwrap();
            prop_assert_eq!(read.to_text(), entry.to_text());
        }

        #[test]
        fn a_field_is_one_line_and_no_other_key(
            key in "(options|x|[ \r\n\t#\u{85}\u{2028}\0]){0,4}", value in "(options|x|[ \r\n\t#\u{85}\u{2028}\0]|.){0,6}",
        ) {
            let mut entry = BlsEntry::default();
            entry.push(&key, &value);
            let text = entry.to_text();
            prop_assert_eq!(text.matches(['\n', '\r', '\0', '\u{85}', '\u{2028}']).count(), 1);
            let read = BlsEntry::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(read.values("options").count(), usize::from(key == "options"));
        }
    }
}
