//! The target, mounted for this process alone: nothing that is mounted elsewhere is used or changed.

use std::os::fd::{AsFd, BorrowedFd};

use ostree_formats::mountinfo;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::mount::{self, Detached, FsOption};
use system::proc::Proc;
use system::writable_mount::Writable;
use system::{Context, SystemError, block_device};

use crate::read::devices::Partition;

/// A mount that no path leads to. It disappears with this value.
#[derive(Debug)]
pub struct Mounted {
    /// Another mount of it is read-only, and must be so again. Before the mount: dropped first.
    writable: Option<Writable>,
    mount: Detached,
    path: String,
    is_read_only_elsewhere: bool,
}

impl Mounted {
    /// Mounts the FAT on a partition, read-only if it is not in use: then it is not written to, not even to say that it is.
    ///
    /// # Errors
    /// It is no FAT, or the kernel cannot mount it.
    pub fn open(partition: &Partition) -> Result<Self, SystemError> {
        let path = partition.path.as_str();
        let is_elsewhere = !mount_points(partition.device)?.is_empty();
        let attributes = MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | MountAttrFlags::MOUNT_ATTR_NOSYMFOLLOW;
        // A power cut leaves files half-written, whose chains of clusters lead nowhere. Removing one is an error to the kernel, after which it
        // would refuse all writes to the filesystem, in every boot, until fsck.vfat has run.
        let errors = FsOption::Text("errors", "continue");
        let options = [FsOption::Text("umask", "0077"), errors, FsOption::Flag("ro")];
        let (read_only, writable) = (&options[..], options.split_last().map(|(_, rest)| rest).unwrap_or_default());
        let mount = match mount::filesystem("vfat", path, read_only, attributes) {
            // It is mounted elsewhere, and writable: the same filesystem cannot be read-only here.
            Err(error) if error.reason == Errno::BUSY => mount::filesystem("vfat", path, writable, attributes),
            other => other,
        }
        .map_err(|error| SystemError { object: format!("the ESP {path}").into(), ..error })?;
        let is_read_only = mount::is_read_only(&mount).context("read the attributes of", path)?;
        let is_read_only_elsewhere = is_read_only && is_elsewhere;
        Ok(Self { writable: None, mount, path: path.to_owned(), is_read_only_elsewhere })
    }

    /// Makes it writable.
    ///
    /// # Errors
    /// The kernel or the device refuses.
    pub fn make_writable(&mut self) -> Result<(), SystemError> {
        if !mount::is_read_only(&self.mount).context("read the attributes of", &self.path)? {
            return Ok(());
        }
        let made = if self.is_read_only_elsewhere {
            Writable::make(&self.mount).map(|writable| self.writable = Some(writable))
        } else {
            mount::reconfigure_at(&self.mount, "rw")
        };
        made.context("write to", format_args!("the ESP {}", self.path))
    }
}

/// Where this device is mounted, as far as it can be seen here.
///
/// # Errors
/// The mounts cannot be read.
pub fn mount_points(device: u64) -> Result<Vec<String>, SystemError> {
    let mounts = mountinfo::parse(&Proc::open()?.mountinfo()?);
    let is_of_it = |source: &str| matches!(block_device::at(source), Ok(Some(found)) if found == device);
    let of_it = mounts.iter().filter(|mount| mount.fstype == "vfat" && is_of_it(&mount.source.to_string_lossy()));
    Ok(of_it.map(|mount| mount.target.to_string_lossy().into_owned()).collect())
}

impl AsFd for Mounted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}
