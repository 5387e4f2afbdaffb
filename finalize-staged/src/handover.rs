//! What is not ours to finalize: recognised before anything is changed, and left to `ostree`.

use std::ffi::OsString;
use std::os::fd::AsFd;

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::repo_config::{Bootloader, RepoConfig};
use rustix::fs::OFlags;
use system::dir;

use crate::error::Error;
use crate::roots::Roots;

/// Who does what we do not.
const PROGRAM: &str = "/usr/bin/ostree";

const LIMIT: u64 = 1 << 20;

/// Why this is not ours; `None`: it is.
pub(crate) fn reason(roots: &Roots, config: &RepoConfig, target: &DeploymentPath) -> Option<String> {
    boot_loader(roots, config).or_else(|| selinux(roots, target))
}

/// A boot loader that needs a file of its own.
fn boot_loader(roots: &Roots, config: &RepoConfig) -> Option<String> {
    let found = match config.bootloader {
        Bootloader::None => return None,
        Bootloader::Auto => probe(roots)?,
        configured => {
            return Some(format!(
                "the boot loader is {configured} (sysroot.bootloader), which needs a file of its own"
            ));
        }
    };
    Some(format!("{found} belongs to a boot loader that needs a file of its own (sysroot.bootloader is auto)"))
}

/// Which file tells of such a boot loader, as libostree looks for them.
fn probe(roots: &Roots) -> Option<String> {
    let boot = &roots.boot;
    let there = |path: &str, flags: OFlags| dir::open(boot, path, OFlags::PATH | flags).is_ok();
    if there("syslinux/syslinux.cfg", OFlags::NOFOLLOW) {
        return Some("/boot/syslinux/syslinux.cfg".to_owned());
    }
    if !bootupd_has_static_configs(boot) {
        for path in ["grub/grub.cfg", "grub2/grub.cfg"] {
            if there(path, OFlags::empty()) {
                return Some(format!("/boot/{path}"));
            }
        }
        let vendors = dir::names(boot, "efi/EFI").unwrap_or_default();
        let efi = vendors.iter().map(|vendor| format!("efi/EFI/{vendor}/grub.cfg"));
        if let Some(path) = efi.into_iter().find(|path| there(path, OFlags::empty())) {
            return Some(format!("/boot/{path}"));
        }
    }
    there("loader/uEnv.txt", OFlags::NOFOLLOW).then(|| "/boot/loader/uEnv.txt".to_owned())
}

/// bootupd's GRUB reads boot loader entries itself.
fn bootupd_has_static_configs(boot: impl AsFd) -> bool {
    let state = dir::read(boot, "bootupd-state.json", LIMIT).unwrap_or_default();
    let state = serde_json::from_slice::<serde_json::Value>(&state).unwrap_or_default();
    state.get("static-configs").is_some_and(|value| !value.is_null())
}

/// A tree with an SELinux policy needs labels that only that policy knows.
fn selinux(roots: &Roots, target: &DeploymentPath) -> Option<String> {
    let deployment = dir::open_directory(&roots.sysroot, target.to_string()).ok()?;
    for etc in ["etc", "usr/etc"] {
        let config = dir::read(&deployment, format!("{etc}/selinux/config"), LIMIT);
        let Ok(config) = config else { continue };
        let config = String::from_utf8_lossy(&config);
        let value = |key: &str| config.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        if value("SELINUX").is_some_and(|mode| mode.trim() == "disabled") {
            return None;
        }
        let Some(policy) = value("SELINUXTYPE").map(str::trim) else { continue };
        let has_policy = ["etc", "usr/etc"].iter().any(|etc| {
            let files = dir::names(&deployment, format!("{etc}/selinux/{policy}/policy")).unwrap_or_default();
            files.iter().any(|name| name.starts_with("policy."))
        });
        return has_policy.then(|| format!("the staged deployment has the SELinux policy {policy:?}"));
    }
    None
}

/// Whether there is somebody to leave it to.
pub(crate) fn is_possible() -> bool {
    rustix::fs::access(PROGRAM, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Becomes `ostree admin finalize-staged`; returns only to fail.
pub(crate) fn hand_over(reason: String) -> Error {
    if !is_possible() {
        return nobody(reason);
    }
    log::info!("{reason}: leaving this to {PROGRAM} admin finalize-staged");
    let arguments = ["admin", "finalize-staged"].map(OsString::from);
    Error::HandOver { program: PROGRAM, reason: system::exec::exec(PROGRAM, &arguments) }
}

/// The error where there is nobody.
pub(crate) fn nobody(reason: String) -> Error {
    Error::NobodyToHandOverTo { reason, program: PROGRAM }
}
