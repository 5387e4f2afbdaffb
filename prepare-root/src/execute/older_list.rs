//! Exchanges the active list of `/boot` with the one that begins with an older deployment. The running system has written that one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::boot_attempts::OLDER_LIST;
use ostree_sysroot::list_digest;
use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::mount::{self, Detached};
use system::sync::{self, Freeze};
use system::{Context, SystemError, dir, tree};

use super::writable::Writable;
use crate::plan::attempts::ListExchange;
use crate::read::deployments;
use crate::read::physical_root::PhysicalRoot;

/// Where a `/boot` of its own can be: what boot loaders with Boot Loader Specification entries read, and libostree writes to.
const FILESYSTEMS: [&str; 5] = ["ext4", "ext3", "ext2", "xfs", "btrfs"];

/// Without its file a boot loader would not start.
const OF_BOOT_LOADERS: [&str; 3] = ["grub.cfg", "syslinux.cfg", "uEnv.txt"];

/// Exchanges the lists. It is on the disk afterwards, also for a boot loader that does not replay journals; nothing has changed after
/// an error.
pub(crate) fn exchange(physical: &PhysicalRoot, exchange: &ListExchange) -> Result<(), SystemError> {
    let boot = Boot::open(physical, exchange)?;
    let boot = boot.directory()?;
    let active = list_digest::active(&boot)?;
    // Somebody has changed the list since: nobody knows what the other one would boot.
    let Some(active) = active.filter(|active| active.digest.as_str() == exchange.list) else {
        return Err(Errno::STALE)
            .context("use the list", format_args!("/boot/{OLDER_LIST}, which was made for another one"));
    };
    let older = tree::open(&boot, OLDER_LIST.as_bytes()).context("open", format_args!("/boot/{OLDER_LIST}"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let entries = dir::open(&older, "entries", flags).context("open", format_args!("/boot/{OLDER_LIST}/entries"))?;
    // A boot link can lead elsewhere although no entry has changed.
    if deployments::default_of(physical, entries.as_fd()).as_ref() != Some(&exchange.fallback) {
        let what = format_args!("/boot/{OLDER_LIST}, whose default is not /{}", exchange.fallback);
        return Err(Errno::STALE).context("use the list", what);
    }
    for name in OF_BOOT_LOADERS {
        let is_there = |directory: &OwnedFd| dir::stat_name(directory, name).context("read the attributes of", name);
        let active = tree::open(&boot, active.directory.as_bytes()).context("open", "/boot/loader")?;
        if is_there(&active)?.is_some() && is_there(&older)?.is_none() {
            return Err(Errno::NOENT).context("use the list", format_args!("/boot/{OLDER_LIST}, which has no {name}"));
        }
    }
    let exchange_both =
        || rustix::fs::renameat_with(&boot, OLDER_LIST, &boot, active.directory.as_str(), RenameFlags::EXCHANGE);
    exchange_both().context("exchange", format_args!("/boot/{OLDER_LIST} and /boot/{}", active.directory))?;
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

enum Boot {
    OnTheRoot(Writable),
    ItsOwn(Detached),
}

impl Boot {
    fn open(physical: &PhysicalRoot, exchange: &ListExchange) -> Result<Self, SystemError> {
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

    /// `/boot`.
    fn directory(&self) -> Result<OwnedFd, SystemError> {
        let (root, path): (BorrowedFd<'_>, _) = match self {
            Self::OnTheRoot(root) => (root.as_fd(), "boot"),
            Self::ItsOwn(mount) => (mount.as_fd(), "."),
        };
        dir::open(root, path, OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/boot")
    }
}
