//! What is in a file, as a digest: large files are compared without keeping them.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};
use sha2::{Digest, Sha256};
use system::dir::{Kind, stat_fd};

/// How much is read at a time.
const PIECE: usize = 256 << 10;

/// SHA-256 of an open file, from where it is to its end.
///
/// # Errors
/// `EINVAL` for what is not a file: a device may have no end. Any error of reading.
pub(crate) fn sha256(file: &OwnedFd) -> Result<[u8; 32], Errno> {
    if stat_fd(file)?.kind != Kind::File {
        return Err(Errno::INVAL);
    }
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match retry_on_intr(|| rustix::io::read(file, &mut buffer))? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_is_read_in_pieces_and_a_device_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let content = vec![b'a'; PIECE + 1];
        std::fs::write(&path, &content).unwrap();
        assert_eq!(sha256(&File::open(&path).unwrap().into()), Ok(Sha256::digest(&content).into()));
        assert_eq!(sha256(&File::open("/dev/zero").unwrap().into()), Err(Errno::INVAL));
    }
}
