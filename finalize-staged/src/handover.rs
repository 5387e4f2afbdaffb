//! Systems that firstroot does not finalize: it recognises them before anything is changed, and executes `ostree`.

use std::ffi::OsString;
use std::os::fd::AsFd;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config::{RepoConfig, RepoConfigError};
use ostree_sysroot::boot_loader::{self, BootLoader};
use ostree_sysroot::{Roots, Sysroot, SysrootError, sysroot};
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::error::Error;

/// The program that finalizes instead.
const PROGRAM: &str = "/usr/bin/ostree";

const LIMIT: u64 = 1 << 20;

/// The sysroot, or the reason why firstroot does not finalize it.
///
/// A file that cannot be read is an error, and not treated as missing.
pub(crate) fn sysroot_or_reason(roots: &Roots, target: &DeploymentPath) -> Result<Result<Sysroot, String>, Error> {
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
    if let Some(reason) = selinux(roots, target)? {
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

fn names_if_there(root: impl AsFd, path: &str, shown: &str) -> Result<Vec<String>, SystemError> {
    match dir::names(root, path) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other.context("list", shown),
    }
}

/// The reason, if the tree has an SELinux policy: the new files need labels of that policy.
fn selinux(roots: &Roots, target: &DeploymentPath) -> Result<Option<String>, SystemError> {
    let deployment = match dir::open_directory(&roots.sysroot, target.to_string()) {
        // The plan reports that it does not exist.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        other => other.context("open", format_args!("/{target}"))?,
    };
    for etc in ["etc", "usr/etc"] {
        let path = format!("{etc}/selinux/config");
        let config = match dir::read(&deployment, &path, LIMIT) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(Errno::FBIG) => return Ok(Some(format!("/{target}/{path} is larger than 1 MiB"))),
            other => other.context("read", format_args!("/{target}/{path}"))?,
        };
        let config = String::from_utf8_lossy(&config);
        if selinux_setting(&config, "SELINUX") == Some("disabled") {
            return Ok(None);
        }
        let Some(policy) = selinux_setting(&config, "SELINUXTYPE") else { continue };
        for etc in ["etc", "usr/etc"] {
            let path = format!("{etc}/selinux/{policy}/policy");
            let files = names_if_there(&deployment, &path, &format!("/{target}/{path}"))?;
            if files.iter().any(|name| name.starts_with("policy.")) {
                return Ok(Some(format!("the staged deployment has the SELinux policy {policy:?}")));
            }
        }
        return Ok(None);
    }
    Ok(None)
}

/// The value of a key in `/etc/selinux/config`.
pub(crate) fn selinux_setting<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    config.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')).map(str::trim)
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
