//! Verifies that a trusted key has signed a deployment's commit, and reads the digest of the image from the commit.
//!
//! Nothing on the disk is trusted before: first the checksum and the signature of the commit are verified, then its metadata is
//! read. From an unsigned commit only this is used: whether it is the commit of a container image. Then its parent must be signed.

use std::os::fd::{AsFd, BorrowedFd};

use ostree_formats::commit::{Commit, CommitError};
use ostree_formats::deployment::{Checksum, DeploymentPath, hexadecimal};
use ostree_formats::signature::{KeysError, PublicKeys, SignatureError};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir;

use super::physical_root::PhysicalRoot;
use crate::facts::SignatureFacts;

/// A file has some keys of 44 characters.
const KEYS_LIMIT: u64 = 1 << 20;
/// The largest commits have a list of all packages, some hundred kilobytes. Memory is limited in an initramfs.
const OBJECT_LIMIT: u64 = 16 << 20;

/// Why a deployment is not verified. Paths are on the physical root, except that of the file of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("the file of trusted keys {path} cannot be read: {reason}")]
    KeysUnreadable { path: String, reason: Errno },
    #[error("the file of trusted keys {path} is unusable: {error}")]
    Keys { path: String, error: KeysError },
    #[error("the commit {path} cannot be read: {reason}")]
    CommitUnreadable { path: String, reason: Errno },
    #[error("the commit {path} is damaged: its checksum is {found}")]
    OtherCommit { path: String, found: String },
    #[error("the commit {path} cannot be used: {error}")]
    Commit { path: String, error: CommitError },
    #[error("the commit {commit} is not signed: there is no {path}")]
    NoMetadata { commit: Checksum, path: String },
    #[error(
        "bootc made the commit {commit} for a container image, and neither this commit nor its parent {parent} is signed: there is \
         no {path}"
    )]
    NoMetadataOfParent { commit: Checksum, parent: Checksum, path: String },
    #[error("the signatures {path} cannot be read: {reason}")]
    MetadataUnreadable { path: String, reason: Errno },
    #[error("the commit {commit} is not signed by a key of {keys}: {path}: {error}")]
    Signature { commit: Checksum, keys: String, path: String, error: SignatureError },
    #[error(
        "the commit {commit} is signed, but contains no image digest (ostree.composefs.digest.v0): make it with `ostree commit \
         --generate-composefs-metadata`"
    )]
    NoDigest { commit: Checksum },
    #[error(
        "the commit {commit} is signed, but its image digest (ostree.composefs.digest.v0) has {bytes} bytes instead of 32"
    )]
    DigestLength { commit: Checksum, bytes: usize },
}

/// Verifies the commit that a deployment is named after, with the keys in a file below `keys_in`: the initramfs.
pub(crate) fn verify(
    physical: &PhysicalRoot,
    deployment: &DeploymentPath,
    keys_in: BorrowedFd<'_>,
    key_file: &str,
) -> Result<SignatureFacts, VerifyError> {
    let keys = trusted_keys(keys_in, key_file)?;
    let mut checksum = deployment.id.commit.clone();
    let mut object = read_commit(physical, &checksum)?;
    let mut metadata = read_metadata(physical, &checksum)?;
    if metadata.is_none() {
        // bootc makes a new commit, whose parent is the commit that the vendor of the image has signed.
        let commit = parse(&checksum, &object)?;
        if let (true, Some(parent)) = (commit.of_container, commit.parent) {
            object = read_commit(physical, &parent)?;
            metadata = read_metadata(physical, &parent)?;
            checksum = parent;
        }
    }
    let path = format!("/{}", checksum.object("commitmeta"));
    let Some(metadata) = metadata else {
        let commit = deployment.id.commit.clone();
        return Err(if commit == checksum {
            VerifyError::NoMetadata { commit, path }
        } else {
            VerifyError::NoMetadataOfParent { commit, parent: checksum, path }
        });
    };
    if let Err(error) = keys.verify(&object, &metadata) {
        return Err(VerifyError::Signature { commit: checksum, keys: key_file.to_owned(), path, error });
    }
    let digest = parse(&checksum, &object)?.composefs_digest;
    let digest = digest.ok_or_else(|| VerifyError::NoDigest { commit: checksum.clone() })?;
    let length = digest.len();
    match digest.try_into() {
        Ok(digest) => Ok(SignatureFacts { key_file: key_file.to_owned(), digest }),
        Err(_) => Err(VerifyError::DigestLength { commit: checksum, bytes: length }),
    }
}

/// Reads a commit and compares its checksum. The commit may be unsigned.
pub(crate) fn commit(physical: &PhysicalRoot, checksum: &Checksum) -> Result<Commit, VerifyError> {
    parse(checksum, &read_commit(physical, checksum)?)
}

/// The keys in a file below `root`.
pub(crate) fn trusted_keys(root: impl AsFd, path: &str) -> Result<PublicKeys, VerifyError> {
    let bytes = dir::read(root, path, KEYS_LIMIT)
        .map_err(|reason| VerifyError::KeysUnreadable { path: path.to_owned(), reason })?;
    PublicKeys::parse(&bytes).map_err(|error| VerifyError::Keys { path: path.to_owned(), error })
}

/// The object, after comparing its checksum with its name.
fn read_commit(physical: &PhysicalRoot, checksum: &Checksum) -> Result<Vec<u8>, VerifyError> {
    let path = checksum.object("commit");
    let shown = || format!("/{path}");
    let bytes = dir::read_no_link(physical, &path, OBJECT_LIMIT)
        .map_err(|reason| VerifyError::CommitUnreadable { path: shown(), reason })?;
    let found = hexadecimal(&Sha256::digest(&bytes));
    if found == checksum.as_str() { Ok(bytes) } else { Err(VerifyError::OtherCommit { path: shown(), found }) }
}

fn read_metadata(physical: &PhysicalRoot, checksum: &Checksum) -> Result<Option<Vec<u8>>, VerifyError> {
    let path = checksum.object("commitmeta");
    match dir::read_no_link(physical, &path, OBJECT_LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Errno::NOENT) => Ok(None),
        Err(reason) => Err(VerifyError::MetadataUnreadable { path: format!("/{path}"), reason }),
    }
}

fn parse(checksum: &Checksum, object: &[u8]) -> Result<Commit, VerifyError> {
    let path = || format!("/{}", checksum.object("commit"));
    Commit::parse(object).map_err(|error| VerifyError::Commit { path: path(), error })
}
