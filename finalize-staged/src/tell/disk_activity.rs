//! The activity of this program and its disks, from `/proc` and `/sys`. A file that cannot be read counts as no activity.

use std::os::fd::OwnedFd;
use std::path::Path;

use system::dir;

const LIMIT: u64 = 1 << 22;

/// The statistics of the block devices of the physical root and `/boot`, as paths in `/sys`. An automounted `/boot` may be mounted
/// late, so the mount table is read each time.
fn statistics() -> Vec<String> {
    let mountinfo = read("/proc", "self/mountinfo");
    let mut statistics = Vec::new();
    for (numbers, source) in ["/sysroot", "/boot"].iter().filter_map(|place| mounted_at(&mountinfo, place)) {
        // btrfs has a virtual number, because it may use several devices.
        let numbers = if numbers.starts_with("0:") { numbers_of(source) } else { Some(numbers.to_owned()) };
        let Some(numbers) = numbers else { continue };
        statistics.extend(siblings(&numbers).unwrap_or_else(|| vec![format!("dev/block/{numbers}/stat")]));
    }
    statistics
}

/// The numbers (`8:1`) and the source of the last mount at `place`.
pub(crate) fn mounted_at<'a>(mountinfo: &'a str, place: &str) -> Option<(&'a str, &'a str)> {
    let line = mountinfo.lines().rev().find(|line| line.split(' ').nth(4) == Some(place))?;
    let source = line.split_once(" - ")?.1.split(' ').nth(1)?;
    Some((line.split(' ').nth(2)?, source))
}

/// The numbers of a device file.
fn numbers_of(device: &str) -> Option<String> {
    let stat = device.starts_with('/').then(|| rustix::fs::stat(device).ok())??;
    Some(format!("{}:{}", rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)))
}

/// The statistics of all devices of the btrfs that a device belongs to.
fn siblings(numbers: &str) -> Option<Vec<String>> {
    let sys = open("/sys")?;
    let link = dir::open_directory(&sys, "dev/block").and_then(|block| dir::read_link(block, numbers)).ok()?;
    let name = link.rsplit('/').next()?.to_owned();
    dir::names(&sys, "fs/btrfs").ok()?.iter().find_map(|filesystem| {
        let devices = dir::names(&sys, format!("fs/btrfs/{filesystem}/devices")).ok()?;
        let paths = devices.iter().map(|device| format!("fs/btrfs/{filesystem}/devices/{device}/stat"));
        devices.contains(&name).then(|| paths.collect())
    })
}

/// The activity up to a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Steps of this program.
    steps: u64,
    /// Bytes that it has read from disks or written.
    own: String,
    /// Whether it waits for a disk.
    is_waiting: bool,
    /// The statistics of its disks.
    disks: String,
}

impl Sample {
    /// Reads the current activity.
    pub(crate) fn take(steps: u64) -> Self {
        let own = read("/proc", "self/io").lines().filter(|line| line.contains("_bytes: ")).collect();
        let disks = statistics().iter().map(|path| read("/sys", path)).collect();
        Self { steps, own, is_waiting: state(&read("/proc", "self/stat")) == Some('D'), disks }
    }

    /// Whether this program was active since `last`.
    pub(crate) fn is_own_progress(&self, last: &Self) -> bool {
        self.steps != last.steps || self.own != last.own
    }

    /// The same, or it waits for a disk that was active.
    pub(crate) fn is_progress(&self, last: &Self) -> bool {
        self.is_own_progress(last) || self.is_waiting && self.disks != last.disks
    }
}

/// The state of a process: it follows the name, which may contain any characters.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

fn open(root: &str) -> Option<OwnedFd> {
    dir::open_root(Path::new(root)).ok()
}

fn read(root: &str, path: &str) -> String {
    let bytes = open(root).and_then(|root| dir::read(root, path, LIMIT).ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
22 1 8:2 / / rw - ext4 /dev/sda2 rw
30 22 8:2 /boot /sysroot ro - ext4 /dev/sda2 rw
31 22 0:31 /root /sysroot rw,relatime shared:1 - btrfs /dev/mapper/luks rw,subvol=/root
40 22 259:1 / /boot rw - ext4 /dev/nvme0n1p1 rw
";

    #[test]
    fn the_last_mount_counts() {
        assert_eq!(mounted_at(MOUNTINFO, "/sysroot"), Some(("0:31", "/dev/mapper/luks")));
        assert_eq!(mounted_at(MOUNTINFO, "/boot"), Some(("259:1", "/dev/nvme0n1p1")));
        assert_eq!(mounted_at(MOUNTINFO, "/efi"), None);
        assert_eq!(mounted_at("1 2 3:4 / /boot\n", "/boot"), None);
    }

    #[test]
    fn a_disk_is_progress_only_for_who_waits_for_one() {
        let last = Sample { disks: "1".to_owned(), ..Sample::default() };
        let busy = Sample { disks: "2".to_owned(), ..Sample::default() };
        assert!(!busy.is_progress(&last), "it hangs in something else");
        let waiting = Sample { is_waiting: true, ..busy.clone() };
        assert!(waiting.is_progress(&last) && !waiting.is_own_progress(&last));
        assert!(!waiting.is_progress(&busy), "nothing has happened");
        for own in [Sample { steps: 1, ..last.clone() }, Sample { own: "write_bytes: 1".to_owned(), ..last.clone() }] {
            assert!(own.is_progress(&last) && own.is_own_progress(&last));
        }
    }

    #[test]
    fn the_state_stands_behind_a_name_with_any_characters() {
        assert_eq!(state("7 (a) R (b)) D 1 7"), Some('D'));
        assert_eq!(state(""), None);
        assert!(!read("/proc", "self/stat").is_empty());
    }
}
