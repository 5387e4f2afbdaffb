//! Reads a file from the disk, not from the cache.

use std::num::NonZero;
use std::os::fd::AsFd;

use rustix::fs::Advice;
use rustix::io::Errno;

/// How much is read at a time.
pub(crate) const PIECE: usize = 128 << 10;
/// How much of a large file is requested in advance; the kernel reads ahead after that.
const BEGINNING: NonZero<u64> = NonZero::<u64>::MIN.saturating_add((1 << 20) - 1);

/// Drops a file from the cache and starts reading it again: pages that were verified earlier do not show what is on the disk now.
/// Pages that a program has mapped stay in memory.
pub(crate) fn ask_for(file: impl AsFd) {
    // This is only advice, so errors do not matter.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    let _ = rustix::fs::fadvise(&file, 0, Some(BEGINNING), Advice::WillNeed);
}

/// Requests a file and reads it to its end. Returns its length.
pub(crate) fn read_from_disk(file: impl AsFd, buffer: &mut [u8], take: impl FnMut(&[u8])) -> Result<u64, Errno> {
    ask_for(&file);
    read(file, buffer, take)
}

/// Reads a file to its end. Returns its length.
pub(crate) fn read(file: impl AsFd, buffer: &mut [u8], mut take: impl FnMut(&[u8])) -> Result<u64, Errno> {
    let mut bytes = 0;
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::pread(&file, &mut *buffer, bytes))? {
            0 => return Ok(bytes),
            length => {
                take(buffer.get(..length).unwrap_or_default());
                bytes += length as u64;
            }
        }
    }
}

/// Whether an error means damage on the disk. Otherwise the file could not be checked.
pub(crate) fn is_damage(reason: Errno) -> bool {
    matches!(reason, Errno::IO | Errno::BADMSG | Errno::UCLEAN)
}
