//! GVariants, and what signs one.

use ostree_formats::booted_state::BootedState;
use ostree_formats::commit::Commit;
use ostree_formats::signature::{PublicKeys, SignatureError};
use ostree_formats::staged_state::StagedState;

use super::is_printable;

/// `/run/ostree/staged-deployment`: written and read again it is the same.
pub(super) fn staged_state(bytes: &[u8]) {
    match StagedState::from_bytes(bytes) {
        Ok(state) => {
            assert_eq!(StagedState::from_bytes(&state.to_bytes()), Ok(state));
        }
        Err(error) => is_printable(&error, bytes),
    }
}

/// `/run/ostree-booted`: written and read again it is the same.
pub(super) fn booted_state(bytes: &[u8]) {
    match BootedState::from_bytes(bytes) {
        Ok(state) => {
            assert_eq!(BootedState::from_bytes(&state.to_bytes()), Ok(state));
        }
        Err(error) => is_printable(&error, bytes),
    }
}

/// A commit object: its version stands in it, and one that is cut off in its last checksum is none.
pub(super) fn commit(bytes: &[u8]) {
    match Commit::parse(bytes) {
        Ok(commit) => {
            let stands = |part: &[u8]| bytes.windows(part.len().max(1)).any(|window| window == part) || part.is_empty();
            assert!(commit.version.is_none_or(|version| version.len() > 100 || stands(version.as_bytes())));
            assert!(commit.composefs_digest.is_none_or(|digest| digest.len() > 100 || stands(&digest)));
            assert!(commit.parent.is_none_or(|parent| parent.as_str().len() == 64));
        }
        Err(error) => is_printable(&error, bytes),
    }
}

/// Of 32 bytes that are all 1, of 32 that are all 2.
const KEYS: &[u8] = b"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb84SIAbQPb1w=\ngTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=\n";

/// A commit and its detached metadata, the commit's size in front: what is signed is this commit and no other.
pub(super) fn signature(bytes: &[u8]) {
    let Ok(keys) = PublicKeys::parse(KEYS) else { unreachable!("the keys of this target are keys") };
    let Some((size, rest)) = bytes.split_first_chunk() else { return };
    let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
    let (commit, metadata) = rest.split_at(size.min(rest.len()));
    match keys.verify(commit, metadata) {
        Ok(()) => {
            let other = [commit, b"x"].concat();
            assert!(matches!(keys.verify(&other, metadata), Err(SignatureError::NoneFits(_))));
        }
        Err(error) => is_printable(&error, bytes),
    }
}

/// A file of keys: again in itself it is a file of keys.
pub(super) fn public_keys(bytes: &[u8]) {
    match PublicKeys::parse(bytes) {
        Ok(keys) => {
            let twice = [bytes, b"\r\n\r\n", bytes].concat();
            assert!(PublicKeys::parse(&twice).is_ok_and(|twice| twice != keys));
            assert!(keys.verify(b"", b"").is_err());
        }
        Err(error) => is_printable(&error, bytes),
    }
}
