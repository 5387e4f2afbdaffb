//! Free space on `/boot` and on the physical root, and the space that a path uses.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError};

use crate::roots::Roots;

/// Bytes that root may still write to `/boot`; ext4 reserves 5 % of the filesystem for root.
///
/// # Errors
/// As fstatvfs(2).
pub fn of_boot(roots: &Roots) -> Result<u64, SystemError> {
    let stat = rustix::fs::fstatvfs(&roots.boot).context("read the attributes of", "/boot")?;
    Ok(stat.f_bfree.saturating_mul(stat.f_frsize))
}

/// Whether the physical root is nearly full: users other than root have less than a tenth of it and less than 4 GiB left, or less
/// than a tenth of its inodes.
///
/// # Errors
/// As fstatvfs(2).
pub fn physical_root_is_nearly_full(roots: &Roots) -> Result<bool, Errno> {
    const ENOUGH: u64 = 4 << 30;
    let stat = rustix::fs::fstatvfs(&roots.sysroot)?;
    let bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    // Filesystems that allocate inodes on demand report zero of zero.
    Ok((stat.f_bavail < stat.f_blocks / 10 && bytes < ENOUGH) || stat.f_favail < stat.f_files / 10)
}

/// The bytes that removing `path`, with everything in it, frees.
///
/// # Errors
/// The attributes of a file cannot be read.
pub fn blocks(root: &OwnedFd, path: &str) -> Result<u64, Errno> {
    let device = rustix::fs::fstat(root)?.st_dev;
    let (mut bytes, mut paths) = (0u64, vec![path.to_owned()]);
    while let Some(path) = paths.pop() {
        // `ostree` may be a link.
        let opened = match dir::open(root, &path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(opened) => opened,
            // It was removed, or its path is too long for the kernel: what it frees does not matter.
            Err(Errno::NOENT | Errno::NAMETOOLONG) => continue,
            Err(error) => return Err(error),
        };
        let stat = rustix::fs::fstat(&opened)?;
        if stat.st_dev != device {
            continue;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            paths.extend(dir::names(&opened, ".")?.iter().map(|name| format!("{path}/{name}")));
        } else if stat.st_nlink > 1 {
            continue;
        }
        bytes = bytes.saturating_add(stat.st_blocks.unsigned_abs().saturating_mul(512));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_another_name_elsewhere_sets_nothing_free() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/file"), [1; 10_000]).unwrap();
        std::fs::write(root.path().join("a/linked"), [1; 10_000]).unwrap();
        std::fs::hard_link(root.path().join("a/linked"), root.path().join("linked")).unwrap();
        let opened = dir::open_root(root.path()).unwrap();
        let alone = blocks(&opened, "a/file").unwrap();
        assert!((8192..20_000).contains(&alone), "{alone}");
        let directory = blocks(&opened, "a").unwrap();
        assert!((alone..alone + 8192).contains(&directory), "{directory}");
        assert_eq!(blocks(&opened, "nothing"), Ok(0));
    }
}
