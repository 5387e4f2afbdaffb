//! fs-verity (Documentation/filesystems/fsverity.rst): a sealed file cannot be changed, and its digest covers all of its content.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use crate::dir;

/// The seal of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// Sealed, with this digest (SHA-256).
    Sha256([u8; 32]),
    /// Sealed with another hash algorithm: its number.
    Other(u16),
    /// Not sealed.
    None,
    /// The filesystem, or the kernel, has no fs-verity.
    Unsupported,
}

/// What has no fs-verity, if a file cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The kernel was built without it.
    Kernel,
    /// The kernel has it, but the filesystem does not, by its type or its features.
    Filesystem,
    /// One of them.
    Unknown,
}

/// Reads how the drivers of filesystems were built (Documentation/ABI/testing/sysfs-fs-ext4), because the ioctl has the same error
/// for both.
pub fn lack() -> Lack {
    let mut lack = Lack::Unknown;
    for fstype in ["ext4", "btrfs", "f2fs"] {
        let features = format!("/sys/fs/{fstype}/features");
        match (dir::exists(&features), dir::exists(format!("{features}/verity"))) {
            (Ok(true), Ok(true)) => return Lack::Filesystem,
            (Ok(true), Ok(false)) => lack = Lack::Kernel,
            (Ok(false), _) => {}
            (Err(_), _) | (_, Err(_)) => return Lack::Unknown,
        }
    }
    lack
}

/// `FS_VERITY_HASH_ALG_SHA256` of `<linux/fsverity.h>`.
const SHA256: u16 = 1;
/// The longest digest there is.
const LONGEST: usize = 64;

/// `struct fsverity_digest`, with room for the longest digest.
#[repr(C)]
struct Digest {
    algorithm: u16,
    size: u16,
    digest: [u8; LONGEST],
}

/// `_IOWR('f', 134, struct fsverity_digest)`: the struct without its digest has four bytes.
const FS_IOC_MEASURE_VERITY: Opcode = opcode::read_write::<[u16; 2]>(b'f', 134);

/// The digest of an open file. From now on the kernel only returns content that matches it.
///
/// # Errors
/// As the ioctl, except those that mean that there is no seal.
pub fn measure(file: impl AsFd) -> Result<Seal, Errno> {
    let mut digest = Digest { algorithm: 0, size: LONGEST as u16, digest: [0; LONGEST] };
    // SAFETY: the opcode is that of the kernel's header, and takes a pointer to this struct; the kernel writes at most `size`
    // bytes behind the two numbers, for which there is room.
    let measured = unsafe { ioctl(&file, Updater::<FS_IOC_MEASURE_VERITY, Digest>::new(&mut digest)) };
    // A filesystem that forwards the ioctl, for example to a server, verifies nothing: its files do not have this attribute.
    let stat = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    match measured {
        Ok(()) if !stat.stx_attributes.contains(StatxAttributes::VERITY) => Ok(Seal::Unsupported),
        Ok(()) if digest.algorithm != SHA256 => Ok(Seal::Other(digest.algorithm)),
        Ok(()) => Ok(digest.digest.first_chunk().map_or(Seal::None, |bytes| Seal::Sha256(*bytes))),
        Err(Errno::NODATA) => Ok(Seal::None),
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(Seal::Unsupported),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ioctl_has_the_kernels_number() {
        assert_eq!(FS_IOC_MEASURE_VERITY, 0xc004_6686);
    }

    /// Nothing that a test can make without root is sealed; that has to be told apart from an error.
    #[test]
    fn a_file_without_a_seal_has_none() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(measure(&file).unwrap(), Seal::None | Seal::Unsupported));
        assert_eq!(measure(std::fs::File::open("/dev/null").unwrap()).unwrap(), Seal::Unsupported);
    }
}
