//! Commit objects: `(a{sv}aya(say)sstayay)` of metadata, parent, related objects, subject, body, time, and two checksums.

use crate::deployment::Checksum;
use crate::variant::Damaged;
use crate::variant::reader::{Array, Dictionary, Tuple, pair, text};

/// Why bytes are not a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Incomplete, or something else: the two checksums are missing.
    #[error("it is not a commit object, or incomplete")]
    NotACommit,
}

/// The parts of a commit that are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// `version` of its metadata, if it is text. Like libostree, ignores a value of another type.
    pub version: Option<String>,
    /// The commit before it.
    pub parent: Option<Checksum>,
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// `ostree.composefs.digest.v0`: the fs-verity digest (32 bytes, SHA-256) of its image.
    pub composefs_digest: Option<Vec<u8>>,
    /// `ostree.container.image-config` exists: bootc made this commit for a container image, and its parent is the commit in that image.
    pub of_container: bool,
}

impl Commit {
    /// Reads a commit object.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn parse(bytes: &[u8]) -> Result<Commit, CommitError> {
        const CHECKSUM: usize = 32;
        let members = Members::of(bytes).map_err(|Damaged| CommitError::NotACommit)?;
        if members.dirtree.len() != CHECKSUM || members.dirmeta.len() != CHECKSUM {
            return Err(CommitError::NotACommit);
        }
        let of_type = |key, kind| members.metadata.get(key)?.of_type(kind);
        let version = match of_type("version", "s").map(text).transpose() {
            Ok(version) => version.map(str::to_owned),
            Err(Damaged) => return Err(CommitError::NotACommit),
        };
        let parent = match members.parent {
            [] => None,
            bytes => Some(Checksum::from_bytes(bytes).ok_or(CommitError::NotACommit)?),
        };
        Ok(Commit {
            version,
            parent,
            time: members.time,
            composefs_digest: of_type("ostree.composefs.digest.v0", "ay").map(<[u8]>::to_vec),
            of_container: of_type("ostree.container.image-config", "s").is_some(),
        })
    }
}

/// The same parts as slices of the object.
struct Members<'a> {
    metadata: Dictionary<'a>,
    parent: &'a [u8],
    time: u64,
    dirtree: &'a [u8],
    dirmeta: &'a [u8],
}

impl<'a> Members<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Damaged> {
        const TIME: usize = 8;
        let mut commit = Tuple::new(bytes, 7)?;
        let metadata = Dictionary::new(commit.variable(8)?)?;
        let parent = commit.variable(1)?;
        let related = Array::new(commit.variable(1)?, 1)?;
        related.iter().try_for_each(|object| text(pair(object, 1)?.0).map(|_| ()))?;
        let _subject = text(commit.variable(1)?)?;
        let _body = text(commit.variable(1)?)?;
        // Numbers in objects are big-endian.
        let time = u64::from_be_bytes(commit.fixed(TIME)?.try_into().map_err(|_| Damaged)?);
        Ok(Self { metadata, parent, time, dirtree: commit.variable(1)?, dirmeta: commit.variable(1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gvariant::{Marker, SerializeTo, Variant, VariantWrap, gv};
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
        assert_eq!(commit.time, 0x6774_8580);
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
