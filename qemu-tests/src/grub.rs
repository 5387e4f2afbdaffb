//! GRUB of a release of Debian: the program that the firmware starts, and what writes its menu in the system.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cache::Cache;
use crate::command::run;
use crate::guest::Guest;
use crate::sysroot::Sysroot;
use crate::unpacked;

/// Those with what is named below, the last two of which depend on the first.
const PACKAGES: &str = "grub-common,grub2-common,grub-efi-amd64-unsigned";
/// As `grub-install` copies it.
const PROGRAM: &str = "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi";
/// What writes a menu, and what that is made of.
const WRITERS: [&str; 8] = [
    "etc/grub.d",
    "usr/bin/grub-editenv",
    "usr/bin/grub-file",
    "usr/bin/grub-mkrelpath",
    "usr/bin/grub-script-check",
    "usr/sbin/grub-mkconfig",
    "usr/sbin/grub-probe",
    "usr/share/grub",
];
/// As its package writes it, but that nobody is waited for.
const DEFAULTS: &str = "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n";

/// The program of `guest`'s release.
pub(crate) fn of(guest: Guest, cache: &Cache) -> Result<PathBuf> {
    let program = unpacked::of(PACKAGES, guest, cache)?.join(PROGRAM);
    ensure!(program.is_file(), "{PACKAGES} of {guest} have no {PROGRAM}");
    Ok(program)
}

/// What the program reads on the ESP: where the menu is, on the filesystem that has `/boot`.
pub(crate) fn script(boot_uuid: &str, is_on_root: bool) -> String {
    let boot = if is_on_root { "/boot" } else { "" };
    format!("search.fs_uuid {boot_uuid} root\nset prefix=($root)'{boot}/grub'\nconfigfile $prefix/grub.cfg\n")
}

/// Installs what writes the menu in the deployment on a disk, and has `ostree` know of GRUB. There is no menu yet.
pub(crate) fn install(sysroot: &Sysroot<'_>, guest: Guest, cache: &Cache) -> Result<()> {
    let unpacked = unpacked::of(PACKAGES, guest, cache)?;
    let deployment = sysroot.deployment()?;
    for path in WRITERS {
        let target = deployment.join(path);
        let parent = target.parent().unwrap_or(&deployment);
        fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        run(Command::new("cp").arg("--archive").arg(unpacked.join(path)).arg(parent))?;
    }
    let defaults = deployment.join("etc/default/grub");
    fs::write(&defaults, DEFAULTS).with_context(|| format!("writing {}", defaults.display()))?;
    let boot = sysroot.path().join("boot/grub");
    fs::create_dir(&boot).with_context(|| format!("creating {}", boot.display()))?;
    symlink("../loader/grub.cfg", boot.join("grub.cfg")).context("linking grub.cfg")?;
    sysroot.look_for_boot_loader()
}
