//! Commit objects: `(a{sv}aya(say)sstayay)` of metadata, parent, related objects, subject, body, time, and two checksums.

use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, Structure, gv};

/// Why bytes are no commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Cut off, or something else: its two checksums are not there.
    #[error("it is no commit object, or cut off")]
    NotACommit,
}

/// The `version` of a commit's metadata, if it has one.
///
/// # Errors
/// See [`CommitError`].
pub fn version(bytes: &[u8]) -> Result<Option<String>, CommitError> {
    const CHECKSUM: usize = 32;
    let aligned = copy_to_align(bytes);
    let commit = gv!("(a{sv}aya(say)sstayay)").cast(aligned.as_ref());
    let (metadata, parent, related, subject, body, time, dirtree, dirmeta) = commit.to_tuple();
    if dirtree.len() != CHECKSUM || dirmeta.len() != CHECKSUM {
        return Err(CommitError::NotACommit);
    }
    let entry = metadata.iter().map(|entry| entry.to_tuple());
    let entries: Vec<_> = entry.map(|(key, value)| (key.to_str(), value)).collect();
    let related: Vec<_> = related.iter().map(|object| object.to_tuple()).collect();
    let related: Vec<_> = related.iter().map(|(name, checksum)| (name.to_str(), *checksum)).collect();
    // Damaged GVariants read as default values. What would not be written as it was found is damaged.
    let written = gv!("(a{sv}aya(say)sstayay)").serialize_to_vec(&(
        &entries,
        parent,
        &related,
        subject.to_str(),
        body.to_str(),
        time,
        dirtree,
        dirmeta,
    ));
    if written != bytes {
        return Err(CommitError::NotACommit);
    }
    let Some((_, value)) = entries.iter().find(|(key, _)| *key == "version") else { return Ok(None) };
    // Of another type it counts for nothing with libostree, too.
    let Some(version) = value.get(gv!("s")).map(gvariant::Str::to_str) else { return Ok(None) };
    let found: &[u8] = value.split().1;
    if found == gv!("s").serialize_to_vec(version) {
        Ok(Some(version.to_owned()))
    } else {
        Err(CommitError::NotACommit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by `ostree commit --add-metadata-string=version=42.1`.
    const COMMIT: &str = concat!(
        "76657273696f6e0034322e31000073081000000000000000000000006774858007544917e5732c982368aee16ad286039414",
        "36cd016870781dcf297c7dd88504446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488401312111111",
    );

    fn bytes() -> Vec<u8> {
        (0..COMMIT.len()).step_by(2).map(|at| u8::from_str_radix(&COMMIT[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_version_of_a_real_commit() {
        assert_eq!(version(&bytes()), Ok(Some("42.1".to_owned())));
    }

    #[test]
    fn what_is_cut_off_is_no_commit() {
        let whole = bytes();
        for length in 0..whole.len() {
            assert!(version(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = version(&bytes);
        }

        #[test]
        fn no_damage_panics(at in 0..102usize, byte: u8) {
            let mut damaged = bytes();
            damaged[at] = byte;
            let _ = version(&damaged);
        }
    }
}
