//! Systems that firstroot does not finalize: it recognises them before anything is changed, and executes `ostree`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::repo_config::{Bootloader, RepoConfig};
use ostree_sysroot::{Roots, Sysroot, SysrootError, sysroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::error::Error;

/// The program that finalizes instead.
const PROGRAM: &str = "/usr/bin/ostree";

const LIMIT: u64 = 1 << 20;

/// The sysroot, or the reason why firstroot does not finalize it.
///
/// A file that cannot be read is an error, and not treated as missing.
pub(crate) fn sysroot_or_reason(roots: &Roots) -> Result<Result<Sysroot, String>, Error> {
    let config = sysroot::repo_config(roots)?;
    if let Some(reason) = boot_loader(roots, &config)? {
        return Ok(Err(reason));
    }
    match Sysroot::load(roots) {
        Ok(sysroot) => Ok(Ok(sysroot)),
        Err(error @ SysrootError::UnknownLayout { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The reason, if the boot loader needs a configuration file of its own.
fn boot_loader(roots: &Roots, config: &RepoConfig) -> Result<Option<String>, SystemError> {
    let found = match config.bootloader {
        Bootloader::None => return Ok(None),
        Bootloader::Auto => probe(&roots.mounted_boot)?,
        configured => {
            let reason =
                format!("the boot loader {configured} (sysroot.bootloader) needs a configuration file of its own");
            return Ok(Some(reason));
        }
    };
    let why = "belongs to a boot loader with a configuration file of its own (sysroot.bootloader is auto)";
    Ok(found.map(|found| format!("{found} {why}")))
}

/// The file that shows such a boot loader. As libostree, it looks in `/boot` as it is mounted, with the ESP below it.
fn probe(boot: &OwnedFd) -> Result<Option<String>, SystemError> {
    if is_there(boot, "syslinux/syslinux.cfg", OFlags::NOFOLLOW)? {
        return Ok(Some("/boot/syslinux/syslinux.cfg".to_owned()));
    }
    if !bootupd_has_static_configs(boot)? {
        let mut candidates = vec!["grub/grub.cfg".to_owned(), "grub2/grub.cfg".to_owned()];
        let vendors = names_if_there(boot, "efi/EFI", "/boot/efi/EFI")?;
        // libostree skips the directory of removable media, too.
        let vendors = vendors.iter().filter(|vendor| *vendor != "BOOT");
        candidates.extend(vendors.map(|vendor| format!("efi/EFI/{vendor}/grub.cfg")));
        for path in candidates {
            if is_there(boot, &path, OFlags::empty())? {
                return Ok(Some(format!("/boot/{path}")));
            }
        }
    }
    Ok(is_there(boot, "loader/uEnv.txt", OFlags::NOFOLLOW)?.then(|| "/boot/loader/uEnv.txt".to_owned()))
}

fn is_there(boot: &OwnedFd, path: &str, flags: OFlags) -> Result<bool, SystemError> {
    match dir::open(boot, path, OFlags::PATH | flags) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error).context("read the attributes of", format_args!("/boot/{path}")),
    }
}

fn names_if_there(root: impl AsFd, path: &str, shown: &str) -> Result<Vec<String>, SystemError> {
    match dir::names(root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other.context("list", shown),
    }
}

/// bootupd's GRUB reads boot loader entries itself.
fn bootupd_has_static_configs(boot: &OwnedFd) -> Result<bool, SystemError> {
    const STATE: &str = "bootupd-state.json";
    let state = match dir::read(boot, STATE, LIMIT) {
        // So large a file is not bootupd's.
        Err(Errno::NOENT | Errno::FBIG) => return Ok(false),
        other => other.context("read", format_args!("/boot/{STATE}"))?,
    };
    Ok(says_static_configs(&state))
}

/// Whether bootupd's state contains static configurations. `false` if it is damaged: then `ostree` finalizes a system with a
/// grub.cfg.
pub(crate) fn says_static_configs(state: &[u8]) -> bool {
    let state = serde_json::from_slice::<serde_json::Value>(state).unwrap_or_default();
    state.get("static-configs").is_some_and(|value| !value.is_null())
}

/// Whether `ostree` is installed.
pub(crate) fn is_possible() -> bool {
    let found = rustix::fs::access(PROGRAM, rustix::fs::Access::EXEC_OK);
    // Executing it reports any other error.
    !matches!(found, Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS))
}

/// Becomes `ostree admin finalize-staged`; returns only to fail.
pub(crate) fn hand_over(reason: String) -> Error {
    if !is_possible() {
        return nobody(reason);
    }
    log::info!("{reason}: running {PROGRAM} admin finalize-staged instead");
    let arguments = ["admin", "finalize-staged"].map(OsString::from);
    Error::HandOver { program: PROGRAM, reason: system::exec::exec(PROGRAM, &arguments) }
}

/// The error if `ostree` is not installed.
pub(crate) fn nobody(reason: String) -> Error {
    Error::NobodyToHandOverTo { reason, program: PROGRAM }
}
