//! Commit objects: `(a{sv}aya(say)sstayay)` of metadata, parent, related objects, subject, body, time, and two checksums.

use gvariant::aligned_bytes::copy_to_align;
use gvariant::{Marker, Structure, gv};

use crate::deployment::Checksum;

/// Why bytes are no commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Cut off, or something else: its two checksums are not there.
    #[error("it is no commit object, or cut off")]
    NotACommit,
}

/// What is asked of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// `version` of its metadata, if it has one that is text: of another type it counts for nothing with libostree, too.
    pub version: Option<String>,
    /// The commit before it.
    pub parent: Option<Checksum>,
    /// `ostree.composefs.digest.v0`: the fs-verity digest (32 bytes, SHA-256) of the image that is made of it.
    pub composefs_digest: Option<Vec<u8>>,
    /// `ostree.container.image-config` is there: bootc made it of a container image, and its parent of the image's own commit.
    pub of_container: bool,
}

impl Commit {
    /// Reads a commit object.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn parse(bytes: &[u8]) -> Result<Commit, CommitError> {
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
        let value = |wanted: &str| entries.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
        let version = match value("version").and_then(|value| Some((value, value.get(gv!("s"))?.to_str()))) {
            Some((value, text)) if <[u8]>::eq(value.split().1, &gv!("s").serialize_to_vec(text)) => {
                Some(text.to_owned())
            }
            Some(_) => return Err(CommitError::NotACommit),
            None => None,
        };
        let digest = value("ostree.composefs.digest.v0").and_then(|value| value.get(gv!("ay")));
        let composefs_digest = digest.map(<[u8]>::to_vec);
        let parent = match parent {
            [] => None,
            bytes => Some(Checksum::from_bytes(bytes).ok_or(CommitError::NotACommit)?),
        };
        Ok(Commit {
            version,
            parent,
            composefs_digest,
            of_container: value("ostree.container.image-config").is_some_and(|value| value.get(gv!("s")).is_some()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gvariant::{SerializeTo, Variant, VariantWrap};
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
        let commit = Commit::parse(&bytes()).unwrap();
        assert_eq!(commit.version.as_deref(), Some("42.1"));
        assert_eq!((commit.parent, commit.composefs_digest, commit.of_container), (None, None, false));
    }

    #[test]
    fn what_is_cut_off_is_no_commit() {
        let whole = bytes();
        for length in 0..whole.len() {
            assert!(Commit::parse(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }

    fn written<T: SerializeTo<Variant> + Copy>(metadata: &[(&str, T)], parent: &[u8]) -> Vec<u8> {
        let related: &[(&str, &[u8])] = &[];
        let sum = [7u8; 32].as_slice();
        gv!("(a{sv}aya(say)sstayay)").serialize_to_vec(&(metadata, parent, related, "", "", 0u64, sum, sum))
    }

    #[test]
    fn what_verification_asks_for_is_read() {
        let bytes = |bytes| VariantWrap(gv!("ay"), bytes);
        let metadata = [("ostree.composefs.digest.v0", bytes(&[9u8; 32][..])), ("ostree.other", bytes(&[1u8; 3][..]))];
        let commit = Commit::parse(&written(&metadata, &[5; 32])).unwrap();
        assert_eq!(commit.composefs_digest.as_deref(), Some(&[9u8; 32][..]));
        assert_eq!(commit.parent.unwrap().as_str(), "05".repeat(32));
        assert!(!commit.of_container);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Commit::parse(&bytes);
        }

        #[test]
        fn no_damage_panics(at in 0..102usize, byte: u8) {
            let mut damaged = bytes();
            damaged[at] = byte;
            let _ = Commit::parse(&damaged);
        }
    }
}
