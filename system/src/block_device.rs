//! Which block device a filesystem is on.

use std::os::fd::AsFd;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `struct btrfs_ioctl_fs_info_args` of `<linux/btrfs.h>`: the fields after these two are not needed.
#[repr(C)]
struct FilesystemInfo {
    max_id: u64,
    num_devices: u64,
    rest: [u64; 126],
}

/// `struct btrfs_ioctl_dev_info_args`.
#[repr(C)]
struct DeviceInfo {
    id: u64,
    uuid: [u8; 16],
    numbers: [u64; 2],
    unused: [u64; 379],
    path: [u8; 1024],
}

const BTRFS_IOC_FS_INFO: Opcode = opcode::read::<FilesystemInfo>(0x94, 31);
const BTRFS_IOC_DEV_INFO: Opcode = opcode::read_write::<DeviceInfo>(0x94, 30);

/// The one block device that the filesystem of `directory` is on; `None` where it is on several, or on none.
///
/// # Errors
/// As `fstat(2)`, and as the ioctls of btrfs: they are only needed there, because `st_dev` is not a device.
pub fn of_filesystem(directory: impl AsFd) -> Result<Option<u64>, Errno> {
    let device = rustix::fs::fstat(&directory)?.st_dev;
    if rustix::fs::major(device) != 0 {
        return Ok(Some(device));
    }
    // An open_tree descriptor takes no ioctl.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(&directory, ".", flags, Mode::empty())?;
    let mut info = FilesystemInfo { max_id: 0, num_devices: 0, rest: [0; 126] };
    // SAFETY: the opcode has the number and the size of the kernel's struct; the kernel reads flags in it, which are zero, and
    // writes no more than the struct.
    match unsafe { ioctl(&directory, Updater::<BTRFS_IOC_FS_INFO, FilesystemInfo>::new(&mut info)) } {
        // For example a tmpfs.
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => return Ok(None),
        other => other?,
    }
    if info.num_devices != 1 {
        return Ok(None);
    }
    // The largest device number, which is that of the only device.
    let mut device = DeviceInfo { id: info.max_id, uuid: [0; 16], numbers: [0; 2], unused: [0; 379], path: [0; 1024] };
    // SAFETY: as above; the kernel reads `id` and `uuid`, and writes the rest.
    unsafe { ioctl(&directory, Updater::<BTRFS_IOC_DEV_INFO, DeviceInfo>::new(&mut device))? };
    let path = device.path.split(|byte| *byte == 0).next().unwrap_or_default();
    let stat = rustix::fs::statat(CWD, path, rustix::fs::AtFlags::empty())?;
    Ok((FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice).then_some(stat.st_rdev))
}

/// The device that a path of `/dev` leads to, if it is there and a block device.
///
/// # Errors
/// As `stat(2)`.
pub fn at(path: &str) -> Result<Option<u64>, Errno> {
    let stat = crate::dir::if_there(rustix::fs::statat(CWD, path, rustix::fs::AtFlags::empty()))?;
    let is_one = |stat: &rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice;
    Ok(stat.filter(is_one).map(|stat| stat.st_rdev))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structs_have_the_kernels_size() {
        assert_eq!((size_of::<FilesystemInfo>(), size_of::<DeviceInfo>()), (1024, 4096));
        assert_eq!((BTRFS_IOC_FS_INFO, BTRFS_IOC_DEV_INFO), (0x8400_941f, 0xd000_941e));
    }

    #[test]
    fn a_filesystem_without_a_device_has_none() {
        assert_eq!(of_filesystem(std::fs::File::open("/proc").unwrap()).unwrap(), None);
    }
}
