//! Boots that the initramfs counts: the real `ostree-prepare-root` on the disk of a machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::finalize::Machine;
use crate::initramfs::inside_of;

/// What a tree needs to be booted, and to say that it has come up.
pub const TREE: &str = "mkdir -p usr/lib/systemd/system; : >usr/lib/systemd/system/firstroot-bless.service
    printf '#!/bin/sh\\n' >usr/sbin/init; chmod 755 usr/sbin/init; cp usr/sbin/init usr/bin/sh";
/// What the initramfs has done.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Its path on the physical root.
    pub deployment: String,
    /// `/run/ostree/boot-count`.
    pub count: String,
    /// It counts.
    pub is_trial: bool,
    /// Standard error.
    pub told: String,
}

/// Boots the default by the real `ostree-prepare-root`. What runs afterwards is what that has mounted.
pub fn boot(machine: &Machine) -> Result<Boot> {
    boot_in(machine, || Ok(()))
}

/// The same in an initramfs that was changed.
pub fn boot_in(machine: &Machine, change: impl FnOnce() -> Result<()> + Send) -> Result<Boot> {
    machine.boot_default()?;
    let binary = std::env::var_os("FIRSTROOT_PREPARE_ROOT").map(PathBuf::from).context("no prepare-root")?;
    let boot = inside_of(machine, &binary, None, |initramfs| {
        change()?;
        initramfs.configure("[rollback]\ntries=2\n")?;
        let outcome = initramfs.boot()?;
        ensure!(outcome.code == Some(0), "{outcome:?}");
        let deployment = outcome.stdout.trim_end().rsplit("/sysroot/").next().unwrap_or_default().to_owned();
        let is_trial = fs::exists("/run/ostree/boot-trial")?;
        Ok(Boot { deployment, count: initramfs.read("/run/ostree/boot-count")?, is_trial, told: outcome.stderr })
    })?;
    fs::write(machine.directory().join("deployment"), &boot.deployment)?;
    fs::create_dir_all(machine.run_ostree())?;
    fs::write(machine.run_ostree().join("boot-count"), &boot.count)?;
    if boot.is_trial {
        fs::write(machine.run_ostree().join("boot-trial"), "")?;
    }
    Ok(boot)
}
