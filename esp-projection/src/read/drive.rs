//! The target as the firmware finds it.

use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use super::devices::{self, Partition, property};
use crate::firmware::{HardDrive, guid};

/// The kernel says that a file of sysfs has a page.
const LIMIT: u64 = 1 << 16;
/// sysfs counts in these, whatever a disk's blocks are.
const SECTOR: u64 = 512;

/// The partition's place on its disk; `None`: it is none of a GPT (a partition of an MBR, a RAID, a volume).
///
/// # Errors
/// sysfs or udev's database cannot be read.
pub fn drive(root: BorrowedFd<'_>, partition: &Partition) -> Result<Option<HardDrive>, SystemError> {
    if property(root, partition.device, "ID_PART_ENTRY_SCHEME")?.as_deref() != Some("gpt") {
        return Ok(None);
    }
    let uuid = uuid(root, partition)?;
    let path = devices::sysfs(partition.device);
    let number = |name: &str| number(root, &format!("{path}/{name}"));
    let (entry, start, size) = (number("partition")?, number("start")?, number("size")?);
    let block = number("../queue/logical_block_size")?.filter(|block| *block >= SECTOR).unwrap_or(SECTOR);
    let in_blocks = |sectors: u64| sectors.checked_mul(SECTOR).map(|bytes| bytes / block);
    let drive = || {
        Some(HardDrive {
            number: u32::try_from(entry?).ok()?,
            start: in_blocks(start?)?,
            size: in_blocks(size?)?,
            uuid: uuid?,
        })
    };
    Ok(drive())
}

/// The partition's UUID as the firmware writes it.
///
/// # Errors
/// udev's database cannot be read.
pub fn uuid(root: BorrowedFd<'_>, partition: &Partition) -> Result<Option<[u8; 16]>, SystemError> {
    Ok(property(root, partition.device, "ID_PART_ENTRY_UUID")?.and_then(|uuid| guid(&uuid)))
}

/// Whether the target is on a RAID of Linux: the firmware sees one of its disks.
///
/// # Errors
/// sysfs cannot be read.
pub fn is_on_raid(root: BorrowedFd<'_>, partition: &Partition) -> Result<bool, SystemError> {
    let path = devices::sysfs(partition.device);
    for path in [format!("{path}/md"), format!("{path}/../md")] {
        match dir::open(root, &path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            other => return other.map(|_| true).context("look up", format_args!("/{path}")),
        }
    }
    Ok(false)
}

/// Whether the device takes no writes at all, not the firmware's either.
///
/// # Errors
/// sysfs cannot be read.
pub fn is_read_only(root: BorrowedFd<'_>, partition: &Partition) -> Result<bool, SystemError> {
    Ok(number(root, &format!("{}/ro", devices::sysfs(partition.device)))? == Some(1))
}

fn number(root: BorrowedFd<'_>, path: &str) -> Result<Option<u64>, SystemError> {
    match dir::read(root, path, LIMIT) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        other => {
            let bytes = other.context("read", format_args!("/{path}"))?;
            Ok(String::from_utf8_lossy(&bytes).trim_end().parse().ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_partition_is_described_in_the_blocks_of_its_disk() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("sys/devices/nvme0n1/queue/logical_block_size", "4096\n");
        for (name, value) in [("partition", "2"), ("start", "2048"), ("size", "532480")] {
            write(&format!("sys/devices/nvme0n1/p2/{name}"), &format!("{value}\n"));
        }
        std::fs::create_dir_all(directory.path().join("sys/dev/block")).unwrap();
        symlink("../../devices/nvme0n1/p2", directory.path().join("sys/dev/block/259:2")).unwrap();
        let uuid = "5f1a7c00-0000-4000-8000-00000000000e";
        let data = |scheme: &str| format!("E:ID_PART_ENTRY_SCHEME={scheme}\nE:ID_PART_ENTRY_UUID={uuid}\n");
        write("run/udev/data/b259:2", &data("gpt"));
        let root = dir::open_root(directory.path()).unwrap();
        let partition = Partition { path: "/dev/nvme0n1p2".to_owned(), device: rustix::fs::makedev(259, 2) };
        let expected = HardDrive { number: 2, start: 256, size: 66_560, uuid: guid(uuid).unwrap() };
        assert_eq!(drive(root.as_fd(), &partition).unwrap(), Some(expected));
        assert!(!is_on_raid(root.as_fd(), &partition).unwrap());
        std::fs::create_dir(directory.path().join("sys/devices/nvme0n1/md")).unwrap();
        assert!(is_on_raid(root.as_fd(), &partition).unwrap());
        write("run/udev/data/b259:2", &data("dos"));
        assert_eq!(drive(root.as_fd(), &partition).unwrap(), None);
    }
}
