//! How fast machines run here.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::cpio::Archive;
use crate::qemu::{Qemu, Start};
use crate::silence::Patience;

/// Longest time for the trial: a kernel that runs at all says so within a second or two.
const TRIAL_LIMIT: Duration = Duration::from_secs(15);
const TRIAL_TEXT: &str = "firstroot: the trial machine runs";

/// What executes a machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU.
    Tcg,
}

impl Accelerator {
    /// KVM where a trial machine has run with it on this boot of the host. That `/dev/kvm` opens is not enough: on a host
    /// that is itself a guest, KVM can be there and fail to run a kernel.
    pub(crate) fn find(kernel: &Path, busybox: &Path, cache: &Cache) -> Result<Accelerator> {
        static FOUND: OnceLock<Accelerator> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Ok(*found);
        }
        let found = if Path::new("/dev/kvm").exists() && trial(kernel, busybox, cache)? {
            Accelerator::Kvm
        } else {
            Accelerator::Tcg
        };
        Ok(*FOUND.get_or_init(|| found))
    }

    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Accelerator::Kvm => &["-accel", "kvm", "-cpu", "host"],
            // A processor model without the extensions that are slow to emulate, but with random numbers at once.
            Accelerator::Tcg => &["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem,+rdrand"],
        }
    }
}

fn trial(kernel: &Path, busybox: &Path, cache: &Cache) -> Result<bool> {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").context("reading the boot id")?;
    let directory = cache.directory("kvm-trial")?;
    let _lock = cache.lock("kvm-trial")?;
    let result = directory.join(boot_id.trim());
    if let Ok(text) = fs::read_to_string(&result) {
        return Ok(text == "works");
    }
    let init = format!("#!/bin/busybox sh\necho '{TRIAL_TEXT}'\n/bin/busybox poweroff -f\n");
    let archive = Archive::new()
        .character_device("dev/console", 5, 1)
        .file("bin/busybox", 0o755, &fs::read(busybox).context("reading busybox")?)
        .file("init", 0o755, init.as_bytes());
    let initramfs = directory.join("initramfs.img");
    fs::write(&initramfs, archive.finish()).context("writing the trial's initramfs")?;
    let qemu = Qemu {
        start: Start::Kernel {
            kernel: kernel.to_path_buf(),
            initramfs,
            command_line: "console=ttyS0 panic=-1".to_owned(),
        },
        disks: Vec::new(),
        accelerator: Accelerator::Kvm,
        cpus: 1,
    };
    let console = directory.join("console.log");
    // On a host where KVM fails, QEMU ends with a failed assertion: that is the answer, and no news.
    let mut running = qemu.start_quietly(&console, &directory.join("qemu.log"))?;
    let works = running.wait_for(TRIAL_TEXT, 0, Patience::AtMost(TRIAL_LIMIT)).is_ok();
    eprintln!("KVM {} here", if works { "runs machines" } else { "does not run machines" });
    fs::write(&result, if works { "works" } else { "fails" }).context("noting the trial's result")?;
    Ok(works)
}
