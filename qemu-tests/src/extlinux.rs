//! extlinux, of syslinux: a boot loader that the BIOS starts from the first sectors of the filesystem of `/boot`, and that reads a file of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::run;
use crate::sysroot::Sysroot;

/// What it does not read of ext4.
pub(crate) const NOT_READ: &str = "^64bit,^metadata_csum";
/// Labels are added when the list is written. It says on the serial console what it does.
const CONFIGURATION: &str = "SERIAL 0\nTIMEOUT 1\n";

/// Installs it in the filesystem of `/boot`, which is mounted in a physical root, and has `ostree` know of it. It has no labels yet.
pub(crate) fn install(sysroot: &Sysroot<'_>) -> Result<()> {
    let boot = sysroot.path().join("boot");
    let directory = boot.join("syslinux");
    fs::create_dir(&directory).with_context(|| format!("creating {}", directory.display()))?;
    run(Command::new("extlinux").arg("--install").arg(&directory).env("PATH", crate::host::PATH))?;
    symlink("../loader/syslinux.cfg", directory.join("syslinux.cfg")).context("linking syslinux.cfg")?;
    fs::write(boot.join("loader/syslinux.cfg"), CONFIGURATION).context("writing syslinux.cfg")?;
    sysroot.look_for_boot_loader()
}
