//! What is looked up. Nothing is changed but the marker file, which is there to be removed.

use std::os::fd::BorrowedFd;

use esp_projection::settings::Settings;
use ostree_formats::bootlink::by_text;
use ostree_formats::cmdline::{BootTarget, KernelCommandLine, TargetError, TargetSource};
use ostree_formats::deployment::Stateroot;
use ostree_formats::fstab::mounts_var;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use super::plan::Facts;
use super::stateroot;

/// Longer than any command line that a kernel takes.
const COMMAND_LINE_LIMIT: u64 = 1 << 20;
/// Longer than any table that a person or program wrote.
const FSTAB_LIMIT: u64 = 16 << 20;

/// There in a boot that the initramfs counts.
const BOOT_TRIAL: &str = "run/ostree/boot-trial";

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This boot needs no units.
    Nothing,
    /// It is the boot of a deployment, but of which cannot be told.
    Unusable(String),
    /// What decides.
    Facts(Facts),
}

/// Reads below the root directory of the system.
pub(super) fn facts(root: BorrowedFd<'_>) -> Result<Found, SystemError> {
    if initramfs_has_mounted_var(root)? {
        return Ok(Found::Nothing);
    }
    let is_prepared = is_there(root, "run/ostree").context("read the attributes of", "/run/ostree")?;
    if !is_prepared && is_in_a_container() {
        // It sees the command line of its host.
        return Ok(Found::Nothing);
    }
    let command_line = dir::read(root, "proc/cmdline", COMMAND_LINE_LIMIT).context("read", "/proc/cmdline")?;
    let command_line = KernelCommandLine::new(command_line);
    let target = match command_line.boot_target() {
        Err(TargetError::Missing) => return Ok(Found::Nothing),
        _ if !is_prepared => {
            return Ok(Found::Unusable(
                "the kernel command line names a deployment, but /run/ostree does not exist: ostree-prepare-root has not \
                 prepared this root; look at the initramfs: journalctl --boot --unit=ostree-prepare-root"
                    .to_owned(),
            ));
        }
        Err(error @ TargetError::UnknownSlot(_)) => return Ok(Found::Unusable(error.to_string())),
        other => other,
    };
    let stateroot = match target {
        Ok(target) => stateroot(root, &command_line, &target),
        Err(error) => Err(error.to_string()),
    };
    let var = stateroot.and_then(|stateroot| Ok((!fstab_mounts_var(root)?).then_some(stateroot)));
    let is_trial =
        command_line.is_trial() || is_there(root, BOOT_TRIAL).context("look up", format_args!("/{BOOT_TRIAL}"))?;
    Ok(Found::Facts(Facts {
        var,
        boot_is_on_the_root: boot_is_on_the_root(root)?,
        is_trial,
        unit: command_line.unit(),
        timeout: timeout(root, is_trial),
    }))
}

/// `[rollback] timeout=`, for a boot that counts.
fn timeout(root: BorrowedFd<'_>, is_trial: bool) -> Option<u32> {
    // What is wrong in the file is told by those who use the rest of it.
    if is_trial { Settings::read(root).ok()?.timeout } else { None }
}

/// A file in `/run/ostree` says that the initramfs has mounted `/var`. It is removed, as libostree does: it counts once.
fn initramfs_has_mounted_var(root: BorrowedFd<'_>) -> Result<bool, SystemError> {
    const MARKER: &str = "run/ostree/initramfs-mount-var";
    match rustix::fs::unlinkat(root, MARKER, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        // A filesystem that is read-only says that before it looks up the name.
        Err(reason) => {
            let is_there = is_there(root, MARKER).context("read the attributes of", format_args!("/{MARKER}"))?;
            if is_there {
                log::warn!("cannot remove /{MARKER}: {reason}");
            }
            Ok(is_there)
        }
    }
}

fn is_there(root: BorrowedFd<'_>, path: &str) -> Result<bool, Errno> {
    Ok(dir::if_there(rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW))?.is_some())
}

/// systemd tells its generators (systemd.generator(7)).
fn is_in_a_container() -> bool {
    std::env::var_os("SYSTEMD_VIRTUALIZATION").is_some_and(|kind| kind.as_encoded_bytes().starts_with(b"container"))
}

/// The link of a slot of Android leads to a deployment or to a boot link. If it is missing, `ostree=` counts, as it has for
/// prepare-root.
fn stateroot(root: BorrowedFd<'_>, command_line: &KernelCommandLine, target: &BootTarget) -> Result<Stateroot, String> {
    let unknown = |path: &str| {
        format!(
            "{target} leads to {path:?}, which names no stateroot; expected ostree=/ostree/boot.N/STATEROOT/BOOTCSUM/N"
        )
    };
    if target.source == TargetSource::Ostree {
        return stateroot::in_path(&target.path).ok_or_else(|| unknown(&target.path));
    }
    match dir::read_link(root, target.path.trim_start_matches('/')) {
        Ok(link) => stateroot::in_path(&by_text(&target.path, &link)).ok_or_else(|| unknown(&link)),
        Err(Errno::NOENT) => match command_line.ostree_target() {
            Ok(otherwise) => stateroot::in_path(&otherwise.path).ok_or_else(|| unknown(&otherwise.path)),
            Err(_) => Err(format!("cannot read {}: {}", target.path, Errno::NOENT)),
        },
        Err(error) => Err(format!("cannot read {}: {error}", target.path)),
    }
}

/// An `/etc/fstab` that cannot be read might mount `/var`.
fn fstab_mounts_var(root: BorrowedFd<'_>) -> Result<bool, String> {
    match dir::read(root, "etc/fstab", FSTAB_LIMIT) {
        Ok(fstab) => Ok(mounts_var(&fstab)),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::FBIG) => Err(format!("/etc/fstab is larger than {} MiB", FSTAB_LIMIT >> 20)),
        Err(error) => Err(format!("cannot read /etc/fstab: {error}")),
    }
}

/// libostree makes `boot/loader` a link where `/boot` is on the root filesystem. A separate `/boot` is not mounted below `/sysroot`.
fn boot_is_on_the_root(root: BorrowedFd<'_>) -> Result<bool, SystemError> {
    let kind = |path: &str| match rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error).context("read the attributes of", format_args!("/{path}")),
    };
    Ok(kind("sysroot/boot/loader")? == Some(FileType::Symlink) && kind("boot")? == Some(FileType::Directory))
}
