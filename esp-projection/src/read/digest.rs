//! SHA-256 of files.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::Checksum;
use rustix::io::{Errno, retry_on_intr};
use sha2::{Digest, Sha256};

const PIECE: usize = 256 << 10;

/// Reads a file to its end, and passes on what is read.
///
/// # Errors
/// As `read(2)`, and those of `each`.
pub(crate) fn of(file: &OwnedFd, each: &mut dyn FnMut(&[u8]) -> Result<(), Errno>) -> Result<Checksum, Errno> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let count = retry_on_intr(|| rustix::io::read(file.as_fd(), &mut buffer))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return of_hash(hash);
        }
        hash.update(bytes);
        each(bytes)?;
    }
}

/// The checksum of a text.
///
/// # Errors
/// Never: a SHA-256 is a checksum.
pub(crate) fn of_text(text: &str) -> Result<Checksum, Errno> {
    of_hash(Sha256::new_with_prefix(text))
}

fn of_hash(hash: Sha256) -> Result<Checksum, Errno> {
    Checksum::from_bytes(&hash.finalize()).ok_or(Errno::INVAL)
}
