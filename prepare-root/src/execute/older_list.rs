//! Exchanges the active list of `/boot` with the one that begins with an older deployment. The running system has written that one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::boot_attempts::OLDER_LIST;
use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::mount::{self, Detached};
use system::sync::{self, Freeze};
use system::{Context, SystemError, dir};

use super::writable::Writable;
use crate::plan::attempts::ListExchange;
use crate::read::physical_root::PhysicalRoot;

/// Where a `/boot` of its own can be: what boot loaders with Boot Loader Specification entries read, and libostree writes to.
const FILESYSTEMS: [&str; 5] = ["ext4", "ext3", "ext2", "xfs", "btrfs"];

/// `/boot`, writable. A filesystem of its own is mounted for as long as this is there.
pub(crate) struct Boot {
    directory: OwnedFd,
    /// After what is open on it.
    _mount: Mount,
}

enum Mount {
    OnTheRoot(Writable),
    ItsOwn(Detached),
}

/// Exchanges the older list with the active one, in `directory`. It is on the disk afterwards, also for a boot loader that does not
/// replay journals; nothing has changed after an error.
pub(crate) fn exchange(boot: &Boot, directory: &str) -> Result<(), SystemError> {
    let boot = boot.directory();
    let exchange_both = || rustix::fs::renameat_with(boot, OLDER_LIST, boot, directory, RenameFlags::EXCHANGE);
    exchange_both().context("exchange", format_args!("/boot/{OLDER_LIST} and /boot/{directory}"))?;
    match sync::through_the_journal(boot.as_fd()) {
        Ok(Freeze::Done) => Ok(()),
        Ok(Freeze::Unsupported) => {
            log::warn!("/boot cannot be frozen: a boot loader may still see the list as it was");
            Ok(())
        }
        Err(error) => {
            // What boots now is the first of the list again.
            let _ = exchange_both();
            Err(error).context("sync", "/boot")
        }
    }
}

impl Boot {
    /// Opens the one that an exchange is about.
    pub(crate) fn open(physical: &PhysicalRoot, exchange: &ListExchange) -> Result<Self, SystemError> {
        let mount = Mount::of(physical, exchange)?;
        let (root, path): (BorrowedFd<'_>, _) = match &mount {
            Mount::OnTheRoot(root) => (root.as_fd(), "boot"),
            Mount::ItsOwn(mount) => (mount.as_fd(), "."),
        };
        let directory = dir::open(root, path, OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/boot")?;
        Ok(Self { directory, _mount: mount })
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }
}

impl Mount {
    fn of(physical: &PhysicalRoot, exchange: &ListExchange) -> Result<Self, SystemError> {
        let Some(uuid) = &exchange.boot else {
            return Writable::of(physical).map(Self::OnTheRoot).context("write to", "the root filesystem");
        };
        let fstype = exchange.fstype.as_deref().unwrap_or_default();
        let Some(fstype) = FILESYSTEMS.into_iter().find(|known| *known == fstype) else {
            return Err(Errno::NODEV).context("mount", format_args!("the filesystem of /boot, of type {fstype:?}"));
        };
        let attributes =
            MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        mount::filesystem(fstype, &format!("/dev/disk/by-uuid/{uuid}"), &[], attributes).map(Self::ItsOwn)
    }
}
