//! Block devices, as udev's database and sysfs describe them.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

const LIMIT: u64 = 1 << 20;
/// The type of an EFI system partition.
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
/// The type of a partition with further entries for boot loaders, beside an ESP.
const XBOOTLDR: &str = "bc13c2ff-59e6-4262-a352-b275fd6f7172";
/// Devices below a filesystem: a disk below a partition below a volume below another one.
const DEEPEST: usize = 16;

/// A partition that may be the target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// `/dev/NAME`.
    pub path: String,
    /// Its number.
    pub device: u64,
}

/// One property of a device, as udev has it.
///
/// # Errors
/// The database cannot be read.
pub fn property(root: BorrowedFd<'_>, device: u64, key: &str) -> Result<Option<String>, SystemError> {
    let path = format!("run/udev/data/b{}", numbers(device));
    let Some(bytes) = dir::if_there(dir::read(root, &path, LIMIT)).context("read", format_args!("/{path}"))? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let value = text.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('='));
    Ok(value.map(str::to_owned))
}

/// The EFI system partitions on the disks that `device` is on.
///
/// # Errors
/// sysfs or the database cannot be read.
pub fn system_partitions(root: BorrowedFd<'_>, device: u64) -> Result<Vec<Partition>, SystemError> {
    let mut found = Vec::new();
    for disk in disks(root, device)? {
        for name in dir::names(root, &disk).context("list", format_args!("/{disk}"))? {
            let Some(number) = device_in(root, &format!("{disk}/{name}/dev"))? else { continue };
            let partition = Partition { path: format!("/dev/{name}"), device: number };
            if is_of_type(root, number, ESP)? && !found.contains(&partition) {
                found.push(partition);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `partition` is an XBOOTLDR partition; and the EFI system partition whose boot loader reads it, too, if there is only one on
/// its disk.
///
/// # Errors
/// sysfs or the database cannot be read.
pub fn system_partition_of(
    root: BorrowedFd<'_>,
    partition: &Partition,
) -> Result<(bool, Option<Partition>), SystemError> {
    if !is_of_type(root, partition.device, XBOOTLDR)? {
        return Ok((false, None));
    }
    let only = <[Partition; 1]>::try_from(system_partitions(root, partition.device)?).ok();
    Ok((true, only.map(|[one]| one)))
}

fn is_of_type(root: BorrowedFd<'_>, device: u64, wanted: &str) -> Result<bool, SystemError> {
    Ok(property(root, device, "ID_PART_ENTRY_TYPE")?.is_some_and(|kind| kind.eq_ignore_ascii_case(wanted)))
}

/// The directories in sysfs of the whole disks below a device.
fn disks(root: BorrowedFd<'_>, device: u64) -> Result<Vec<String>, SystemError> {
    let (mut disks, mut waiting) = (Vec::new(), vec![(device, 0)]);
    while let Some((device, depth)) = waiting.pop() {
        let path = sysfs(device);
        if depth > DEEPEST || !is_there(root, &path)? {
            continue;
        }
        let slaves =
            dir::if_there(dir::names(root, format!("{path}/slaves"))).context("list", format_args!("/{path}"))?;
        let slaves = slaves.unwrap_or_default();
        for slave in &slaves {
            waiting.extend(device_in(root, &format!("{path}/slaves/{slave}/dev"))?.map(|device| (device, depth + 1)));
        }
        let is_partition = is_there(root, &format!("{path}/partition"))?;
        let disk = if is_partition { format!("{path}/..") } else { path };
        if slaves.is_empty() && !disks.contains(&disk) {
            disks.push(disk);
        }
    }
    Ok(disks)
}

fn is_there(root: BorrowedFd<'_>, path: &str) -> Result<bool, SystemError> {
    match dir::open(root, path, OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        other => other.map(|_| true).context("look up", format_args!("/{path}")),
    }
}

/// The number in a file `dev`.
fn device_in(root: BorrowedFd<'_>, path: &str) -> Result<Option<u64>, SystemError> {
    let bytes = match dir::read(root.as_fd(), path, LIMIT) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.context("read", format_args!("/{path}"))?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let numbers = text.trim_end().split_once(':');
    Ok(numbers.and_then(|(major, minor)| Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))))
}

/// The directory of a device in sysfs.
pub(super) fn sysfs(device: u64) -> String {
    format!("sys/dev/block/{}", numbers(device))
}

fn numbers(device: u64) -> String {
    format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn partitions_are_found_below_a_volume() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for (name, number) in [("vda", "254:0"), ("vda/vda1", "254:1"), ("vda/vda2", "254:2"), ("dm-0", "253:0")] {
            write(root, &format!("sys/devices/{name}/dev"), &format!("{number}\n"));
            std::fs::create_dir_all(root.join("sys/dev/block")).unwrap();
            symlink(format!("../../devices/{name}"), root.join("sys/dev/block").join(number)).unwrap();
        }
        for name in ["vda1", "vda2"] {
            write(root, &format!("sys/devices/vda/{name}/partition"), "1\n");
        }
        std::fs::create_dir_all(root.join("sys/devices/dm-0/slaves")).unwrap();
        symlink("../../vda/vda2", root.join("sys/devices/dm-0/slaves/vda2")).unwrap();
        write(root, "run/udev/data/b254:1", &format!("S:disk\nE:ID_PART_ENTRY_TYPE={ESP}\nE:ID_FS_UUID=1234-ABCD\n"));
        write(root, "run/udev/data/b254:2", "E:ID_PART_ENTRY_TYPE=0fc63daf-8483-4772-8e79-3d69d8477de4\n");
        let opened = dir::open_root(root).unwrap();
        let expected = [Partition { path: "/dev/vda1".to_owned(), device: rustix::fs::makedev(254, 1) }];
        for device in [rustix::fs::makedev(253, 0), rustix::fs::makedev(254, 2)] {
            assert_eq!(system_partitions(opened.as_fd(), device).unwrap(), expected);
        }
        // The boot loader on it reads the entries of an XBOOTLDR partition of the same disk, and of no other partition.
        let other = Partition { path: "/dev/vda2".to_owned(), device: rustix::fs::makedev(254, 2) };
        assert_eq!(system_partition_of(opened.as_fd(), &other).unwrap(), (false, None));
        write(root, "run/udev/data/b254:2", &format!("E:ID_PART_ENTRY_TYPE={}\n", XBOOTLDR.to_uppercase()));
        assert_eq!(system_partition_of(opened.as_fd(), &other).unwrap(), (true, expected.first().cloned()));
        assert_eq!(system_partition_of(opened.as_fd(), &expected[0]).unwrap(), (false, None));
        let uuid = property(opened.as_fd(), rustix::fs::makedev(254, 1), "ID_FS_UUID").unwrap();
        assert_eq!(uuid.as_deref(), Some("1234-ABCD"));
        assert_eq!(system_partitions(opened.as_fd(), rustix::fs::makedev(7, 7)).unwrap(), []);
    }
}
