//! The journal's export format (systemd.io/JOURNAL_EXPORT_FORMATS).

/// One entry: its fields in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    fields: Vec<(String, String)>,
}

impl JournalEntry {
    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// All fields, in their order.
    pub fn into_fields(self) -> Vec<(String, String)> {
        self.fields
    }

    /// All entries of an export; what is cut off at the end is left out.
    pub fn parse_export(bytes: &[u8]) -> Vec<JournalEntry> {
        let mut entries = Vec::new();
        let mut fields = Vec::new();
        let mut rest = bytes;
        while let Some((line, after)) = split_line(rest) {
            rest = after;
            if line.is_empty() {
                if !fields.is_empty() {
                    entries.push(JournalEntry { fields: std::mem::take(&mut fields) });
                }
            } else if let Some(at) = line.iter().position(|b| *b == b'=') {
                let (name, value) = line.split_at(at);
                fields.push((text(name), text(value.get(1..).unwrap_or_default())));
            } else {
                // A name alone: its value may have line feeds, and is preceded by its length.
                let Some((value, after)) = sized(rest) else { break };
                fields.push((text(line), text(value)));
                rest = after;
            }
        }
        entries
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|b| *b == b'\n')?;
    Some((bytes.get(..at)?, bytes.get(at.checked_add(1)?..)?))
}

fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let value = rest.get(..length)?;
    Some((value, rest.get(length.checked_add(1)?..)?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_fields() {
        let entries = JournalEntry::parse_export(b"A=1\nB\n\x03\0\0\0\0\0\0\0x\ny\nC=3=4\n\nA=2\n\ncut");
        let [first, second] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(first.field("A"), Some("1"));
        assert_eq!(first.field("B"), Some("x\ny"));
        assert_eq!(first.field("C"), Some("3=4"));
        assert_eq!(second.field("A"), Some("2"));
    }
}
