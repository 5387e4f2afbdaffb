//! Boot loader entries.

use ostree_formats::bls::{BlsEntry, check_field};

use super::is_printable;

/// An entry of ours: written and read again it is the same, and each field is one line.
pub(super) fn boot_entry(bytes: &[u8]) {
    let mut entry = match BlsEntry::parse(bytes) {
        Ok(entry) => entry,
        Err(error) => return is_printable(&error, bytes),
    };
    let text = entry.to_text();
    assert_eq!(text.lines().count(), entry.fields().len());
    let _ = (entry.all_options(), entry.get("initrd"), entry.get("linux"));
    let is_other = |(key, _): &&(String, String)| key != "options";
    let others = entry.fields().iter().filter(is_other).count();
    entry.set("options", "quiet");
    assert_eq!((entry.all_options().as_str(), entry.fields().iter().filter(is_other).count()), ("quiet", others));
    entry.remove("options");
    assert_eq!((entry.values("options").count(), entry.fields().len()), (0, others));
    drop(entry);

    // White space that was the end of a line is gone after it was written, and then nothing changes any more.
    let mut entry = read(&text);
    let text = entry.to_text();
    assert_eq!(read(&text).to_text(), text);
    let fields: Vec<(String, String)> = entry.fields().iter().take(20).cloned().collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    entry.set_all(&fields);
    for (key, value) in &fields {
        assert!(check_field(key, value).is_ok());
        let last = fields.iter().rfind(|(other, _)| other == key).map(|(_, value)| *value);
        assert_eq!(entry.get(key), last);
    }
}

fn read(text: &str) -> BlsEntry {
    BlsEntry::parse(text.as_bytes()).unwrap_or_else(|error| unreachable!("what was written is not read: {error}"))
}

/// An entry of another's.
pub(super) fn foreign_entry(bytes: &[u8]) {
    finalize_staged::fuzzing::foreign_entry(bytes);
    finalize_staged::fuzzing::names_in_boot(bytes);
}
