//! What is not ours to finalize: recognised before anything is changed, and left to `ostree`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config::{Bootloader, RepoConfig};
use ostree_sysroot::{Roots, Sysroot, SysrootError, sysroot};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::error::Error;

/// Who does what we do not.
const PROGRAM: &str = "/usr/bin/ostree";

const LIMIT: u64 = 1 << 20;

/// The sysroot, if it is ours to finalize; else why it is not.
///
/// An error stops before anything is changed: what cannot be read is not taken for something that is not there.
pub(crate) fn sysroot_or_reason(roots: &Roots, target: &DeploymentPath) -> Result<Result<Sysroot, String>, Error> {
    let config = sysroot::repo_config(roots)?;
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

/// A boot loader that needs a file of its own.
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

/// Which file tells of such a boot loader, as libostree looks for them: in `/boot` as it is mounted, with the ESP below it.
fn probe(boot: &OwnedFd) -> Result<Option<String>, SystemError> {
    if is_there(boot, "syslinux/syslinux.cfg", OFlags::NOFOLLOW)? {
        return Ok(Some("/boot/syslinux/syslinux.cfg".to_owned()));
    }
    if !bootupd_has_static_configs(boot)? {
        let mut candidates = vec!["grub/grub.cfg".to_owned(), "grub2/grub.cfg".to_owned()];
        let vendors = names_if_there(boot, "efi/EFI", "/boot/efi/EFI")?;
        // libostree passes over the directory of removable media, too.
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
        Err(error) => Err(error).context("look at", format_args!("/boot/{path}")),
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
        // One that is so large is not bootupd's, and says nothing.
        Err(Errno::NOENT | Errno::FBIG) => return Ok(false),
        other => other.context("read", format_args!("/boot/{STATE}"))?,
    };
    Ok(says_static_configs(&state))
}

/// A state that is damaged says nothing; then a grub.cfg is left to ostree.
pub(crate) fn says_static_configs(state: &[u8]) -> bool {
    let state = serde_json::from_slice::<serde_json::Value>(state).unwrap_or_default();
    state.get("static-configs").is_some_and(|value| !value.is_null())
}

/// A tree with an SELinux policy needs labels that only that policy knows.
fn selinux(roots: &Roots, target: &DeploymentPath) -> Result<Option<String>, SystemError> {
    let deployment = match dir::open_directory(&roots.sysroot, target.to_string()) {
        // That it is not there is told when it is read.
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

/// Whether there is somebody to leave it to.
pub(crate) fn is_possible() -> bool {
    let found = rustix::fs::access(PROGRAM, rustix::fs::Access::EXEC_OK);
    // What else is wrong is told when it is executed.
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

/// The error where there is nobody.
pub(crate) fn nobody(reason: String) -> Error {
    Error::NobodyToHandOverTo { reason, program: PROGRAM }
}
