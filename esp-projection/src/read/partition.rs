//! Which partition is the target.

use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, block_device, dir};

use super::devices::{self, Partition};
use super::variables::of_loader;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoPartition {
    /// Nothing would read it.
    #[error(
        "this machine was not booted by UEFI: nothing would read an ESP (for another machine: [esp] partition= in /etc/ostree/esp.conf)"
    )]
    NotUefi,
    /// None on the disk.
    #[error(
        "there is no EFI system partition on the disk of the physical root; name one: [esp] partition= in /etc/ostree/esp.conf"
    )]
    None,
    /// Too many.
    #[error("there are several EFI system partitions: {0}; name one: [esp] partition= in /etc/ostree/esp.conf")]
    Several(String),
    /// What is configured is not there.
    #[error("[esp] partition={0} in /etc/ostree/esp.conf: there is no such block device")]
    NotThere(String),
    /// What is configured as a further one is not there.
    #[error("[esp] also={0} in /etc/ostree/esp.conf: there is no such block device")]
    FurtherNotThere(String),
    /// What the boot loader names is not there.
    #[error(
        "the boot loader was started from {0}, which does not exist (any more); name another one: [esp] partition= in /etc/ostree/esp.conf"
    )]
    BootedFromGone(String),
    /// A file cannot be read.
    #[error("{0}")]
    System(#[from] SystemError),
}

/// Finds it. `sysroot` is the physical root. `also` has the names of further ones: where the disks have several, the first is another one.
///
/// # Errors
/// See [`NoPartition`].
pub fn find(
    root: BorrowedFd<'_>,
    sysroot: BorrowedFd<'_>,
    configured: Option<&str>,
    also: &[String],
) -> Result<Partition, NoPartition> {
    if let Some(wanted) = configured {
        return named(wanted)?.ok_or_else(|| NoPartition::NotThere(wanted.to_owned()));
    }
    match dir::open(root, "sys/firmware/efi", OFlags::PATH) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(NoPartition::NotUefi),
        other => drop(other.context("look up", "/sys/firmware/efi")?),
    }
    if let Some(uuid) = of_loader(root, "LoaderDevicePartUUID")? {
        let path = format!("/dev/disk/by-partuuid/{}", uuid.to_ascii_lowercase());
        // Not another one in its place: nothing would read that.
        return match block_device::at(&path).context("look up", path.as_str())? {
            Some(device) => Ok(Partition { path, device }),
            None => Err(NoPartition::BootedFromGone(path)),
        };
    }
    let all = on_disks(root, sysroot)?;
    one_of(all, &further(also))
}

/// The ESPs on the disks of the physical root.
pub(crate) fn on_disks(root: BorrowedFd<'_>, sysroot: BorrowedFd<'_>) -> Result<Vec<Partition>, SystemError> {
    let below = block_device::of_filesystem(sysroot).context("find the device of", "/sysroot")?;
    Ok(below.map(|device| devices::system_partitions(root, device)).transpose()?.unwrap_or_default())
}

/// The partitions that these names mean. What is wrong with one is told when it is to be written.
pub(crate) fn further(also: &[String]) -> Vec<Partition> {
    also.iter().filter_map(|wanted| named(wanted).ok().flatten()).collect()
}

/// Those of `all` that may be the first one at another boot: none, unless this boot has come through a further one.
pub(crate) fn unnamed(first: &Partition, mut all: Vec<Partition>, further: &[Partition]) -> Vec<Partition> {
    let is_further = |one: &Partition| further.iter().any(|other| other.device == one.device);
    all.retain(|one| is_further(first) && !is_further(one));
    all
}

/// The only one; of several, the only one that is none of the further ones.
fn one_of(all: Vec<Partition>, further: &[Partition]) -> Result<Partition, NoPartition> {
    let is_further = |one: &Partition| further.iter().any(|other| other.device == one.device);
    let (further, others): (Vec<Partition>, Vec<Partition>) = all.into_iter().partition(is_further);
    match <[Partition; 1]>::try_from(if others.is_empty() { further } else { others }) {
        Ok([one]) => Ok(one),
        Err(all) if all.is_empty() => Err(NoPartition::None),
        Err(all) => {
            let paths: Vec<String> = all.into_iter().map(|partition| partition.path).collect();
            Err(NoPartition::Several(paths.join(", ")))
        }
    }
}

/// The partition that a name of `esp.conf` means; `None`: it is not there, or no block device.
///
/// # Errors
/// It cannot be looked up.
pub fn named(wanted: &str) -> Result<Option<Partition>, SystemError> {
    let path = by_name(wanted);
    let device = block_device::at(&path).context("look up", path.as_str())?;
    Ok(device.map(|device| Partition { path, device }))
}

fn by_name(wanted: &str) -> String {
    match wanted.split_once('=') {
        Some(("UUID", uuid)) => format!("/dev/disk/by-uuid/{uuid}"),
        Some(("PARTUUID", uuid)) => format!("/dev/disk/by-partuuid/{uuid}"),
        Some(("LABEL", label)) => format!("/dev/disk/by-label/{label}"),
        Some(("PARTLABEL", label)) => format!("/dev/disk/by-partlabel/{label}"),
        _ => wanted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::super::variables::{EFIVARS, LOADER};
    use super::*;

    #[test]
    fn names_are_those_of_fstab() {
        assert_eq!(by_name("PARTUUID=ab-1"), "/dev/disk/by-partuuid/ab-1");
        assert_eq!(by_name("UUID=1234-ABCD"), "/dev/disk/by-uuid/1234-ABCD");
        assert_eq!(by_name("/dev/vda1"), "/dev/vda1");
    }

    #[test]
    fn the_partition_that_was_booted_from_is_never_replaced_by_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let variables = directory.path().join(EFIVARS);
        std::fs::create_dir_all(&variables).unwrap();
        let uuid = "00000000-1111-2222-3333-444444444444";
        let text: Vec<u8> = [7, 0, 0, 0].into_iter().chain(uuid.bytes().flat_map(|byte| [byte, 0])).collect();
        std::fs::write(variables.join(format!("LoaderDevicePartUUID-{LOADER}")), text).unwrap();
        let root = dir::open_root(directory.path()).unwrap();
        let error = find(root.as_fd(), root.as_fd(), None, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the boot loader was started from /dev/disk/by-partuuid/{uuid}, ")),
            "{error}"
        );
        // Nor by an error of the firmware.
        std::fs::remove_file(variables.join(format!("LoaderDevicePartUUID-{LOADER}"))).unwrap();
        std::fs::create_dir(variables.join(format!("LoaderDevicePartUUID-{LOADER}"))).unwrap();
        assert!(matches!(find(root.as_fd(), root.as_fd(), None, &[]), Err(NoPartition::System(_))));
    }

    #[test]
    fn after_a_boot_through_a_further_one_the_first_one_is_not_forgotten() {
        let partition = |number: u64| Partition { path: format!("/dev/vd{number}"), device: number };
        let on_disks = || vec![partition(1), partition(2)];
        // By another name.
        let further = [Partition { path: "/dev/again".to_owned(), device: 3 }, partition(2)];
        assert_eq!(unnamed(&partition(3), on_disks(), &further), [partition(1)]);
        assert_eq!(unnamed(&partition(2), on_disks(), &further), [partition(1)]);
        // The first one was booted from: an ESP of others stays as it is.
        assert_eq!(unnamed(&partition(1), on_disks(), &further), []);
        assert_eq!(unnamed(&partition(4), on_disks(), &further), []);
    }

    #[test]
    fn of_several_the_first_is_none_of_the_further_ones() {
        let partition = |number: u64| Partition { path: format!("/dev/vd{number}"), device: number };
        let all = || vec![partition(1), partition(2), partition(3)];
        assert_eq!(one_of(all(), &[partition(3), partition(1)]).unwrap(), partition(2));
        assert_eq!(one_of(vec![partition(1)], &[partition(1)]).unwrap(), partition(1));
        for further in [&[partition(1)][..], &all(), &[]] {
            assert!(matches!(one_of(all(), further), Err(NoPartition::Several(_))), "{further:?}");
        }
        assert!(matches!(one_of(Vec::new(), &[partition(1)]), Err(NoPartition::None)));
    }

    #[test]
    fn without_uefi_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let root = dir::open_root(directory.path()).unwrap();
        assert!(matches!(find(root.as_fd(), root.as_fd(), None, &[]), Err(NoPartition::NotUefi)));
    }
}
