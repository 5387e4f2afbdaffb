//! Systems that firstroot does not finalize: it recognises them before anything is changed, and executes `ostree`.

use std::ffi::OsString;

use ostree_formats::repo_config::{RepoConfig, RepoConfigError};
use ostree_sysroot::boot_loader::{self, BootLoader};
use ostree_sysroot::{Roots, Sysroot, SysrootError, sysroot};
use rustix::io::Errno;
use system::SystemError;

use crate::error::Error;

/// The program that finalizes instead.
const PROGRAM: &str = "/usr/bin/ostree";

/// The sysroot, or the reason why firstroot does not finalize it.
///
/// A file that cannot be read is an error, and not treated as missing.
pub(crate) fn sysroot_or_reason(roots: &Roots) -> Result<Result<Sysroot, String>, Error> {
    let config = match sysroot::repo_config(roots) {
        // Another version of libostree may know it.
        Err(SysrootError::RepoConfig(error @ RepoConfigError::UnknownBootloader(_))) => {
            return Ok(Err(error.to_string()));
        }
        other => other?,
    };
    if let Some(reason) = boot_loader(roots, &config)? {
        return Ok(Err(reason));
    }
    match Sysroot::load(roots) {
        Ok(sysroot) => Ok(Ok(sysroot)),
        Err(error @ SysrootError::UnknownLayout { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// The reason, if the boot loader is one that only `ostree` can write.
fn boot_loader(roots: &Roots, config: &RepoConfig) -> Result<Option<String>, SystemError> {
    Ok(match boot_loader::find(roots, config.bootloader)? {
        BootLoader::Entries | BootLoader::Syslinux | BootLoader::Uboot | BootLoader::Grub(_) => None,
        other @ (BootLoader::Zipl | BootLoader::Aboot) => Some(format!(
            "the boot loader {} (sysroot.bootloader) is a program that ostree runs after each update",
            other.name()
        )),
    })
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
