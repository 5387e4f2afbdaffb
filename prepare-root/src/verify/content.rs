//! Reading a file as it is on the disk now.

use std::num::NonZero;
use std::os::fd::AsFd;

use rustix::fs::Advice;
use rustix::io::Errno;

/// How much is read at a time.
pub(crate) const PIECE: usize = 128 << 10;
/// So much of a large file is asked for; while it is read the kernel goes on by itself.
const BEGINNING: NonZero<u64> = NonZero::<u64>::MIN.saturating_add((1 << 20) - 1);

/// Lets the disk begin to read a file anew: what was read, and compared with its seal, earlier says nothing of what is there now. What
/// a program has mapped stays in memory all the same.
pub(crate) fn ask_for(file: impl AsFd) {
    // Only advice: whether it was of use shows when the file is read.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
    let _ = rustix::fs::fadvise(&file, 0, Some(BEGINNING), Advice::WillNeed);
}

/// Reads a file that is not asked for yet to its end; how long it is.
pub(crate) fn read_from_disk(file: impl AsFd, buffer: &mut [u8], take: impl FnMut(&[u8])) -> Result<u64, Errno> {
    ask_for(&file);
    read(file, buffer, take)
}

/// Reads a file to its end; how long it is.
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

/// Whether an error says that what is on the disk is bad, and not that too little can be seen from here.
pub(crate) fn is_damage(reason: Errno) -> bool {
    matches!(reason, Errno::IO | Errno::BADMSG | Errno::UCLEAN)
}
