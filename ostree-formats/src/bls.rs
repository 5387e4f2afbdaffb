//! Boot Loader Specification entries of type 1 (uapi-group.org, "The Boot Loader Specification").

/// An entry: its fields in their order. Comments and empty lines are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlsEntry {
    fields: Vec<(String, String)>,
}

/// What makes bytes no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlsError {
    /// Not text.
    #[error("not UTF-8 text")]
    NotUtf8,
    /// A byte that no boot loader reads over.
    #[error("line {0}: a NUL byte")]
    Nul(usize),
}

/// Keys that stand first, in the order in which libostree writes them.
const FIRST: [&str; 6] = ["title", "version", "options", "devicetree", "linux", "initrd"];

impl BlsEntry {
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
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            fields.push((key.to_owned(), value.trim_start().to_owned()));
        }
        Ok(Self { fields })
    }

    /// The value of a key; of one that stands twice the last, as in libostree. Of `initrd`, which may stand more than once, the
    /// first.
    pub fn get(&self, key: &str) -> Option<&str> {
        if key == "initrd" { self.values(key).next() } else { self.values(key).last() }
    }

    /// All values of a key: `initrd` may stand more than once.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Gives a key one value, in its place if it is there.
    pub fn set(&mut self, key: &str, value: &str) {
        let mut new = Some(value.to_owned());
        self.fields.retain_mut(|(name, old)| {
            if name != key {
                return true;
            }
            // The first keeps its place, the others go.
            new.take().map(|new| *old = new).is_some()
        });
        self.fields.extend(new.map(|value| (key.to_owned(), value)));
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
    /// Line ends within a key or a value become spaces: what somebody else wrote must not add a line.
    pub fn to_text(&self) -> String {
        let first = FIRST.iter().flat_map(|key| self.fields.iter().filter(move |(name, _)| name == key));
        let rest = self.fields.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
        let on_one_line = |text: &str| text.replace(['\n', '\r', '\0'], " ");
        first.chain(rest).map(|(key, value)| format!("{} {}\n", on_one_line(key), on_one_line(value))).collect()
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
    fn a_value_cannot_add_a_line() {
        let mut entry = BlsEntry::default();
        entry.set("x-note", "a\nlinux /other");
        assert_eq!(entry.to_text(), "x-note a linux /other\n");
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
    }
}
