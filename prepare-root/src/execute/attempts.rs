//! Counts an attempt, on the disk before the root is prepared, and says in `/run` what this boot is.

use std::os::fd::OwnedFd;
use std::path::Path;

use ostree_formats::boot_attempts::{BootCount, COUNT, COUNT_SIZE, Count, DIRECTORY};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::proc::Proc;
use system::{Context, SystemError};

use super::stage::Stage;
use super::writable::Writable;
use crate::read::physical_root::PhysicalRoot;

/// Below `/run/ostree`: what the initramfs says of this boot.
const BOOT_COUNT: &str = "boot-count";
/// Below `/run/ostree`: there in a boot that counts, for conditions of units.
const BOOT_TRIAL: &str = "boot-trial";
const SYSTEMD_CONF: &str = "system.conf.d";
/// systemd before 256 only knows this key, and later ones know it, too.
const CRASHES_REBOOT: &str = "# Written by firstroot: this boot counts\n[Manager]\nCrashReboot=yes\n";
const PANIC_SECONDS: u32 = 30;

/// Says that this boot is no attempt.
pub(super) fn no_attempt(run: &OwnedFd, tries: u32) {
    if let Err(error) = say(run, &BootCount { tries, attempt: None }) {
        log::warn!("{error}");
    }
}

/// Counts this boot, unless an earlier run in it has. A disk that cannot be written to is no reason not to boot. Returns whether it
/// counts.
pub(super) fn count(physical: &PhysicalRoot, run: &OwnedFd, count: &Count, is_counted: bool) -> bool {
    let boot = BootCount { tries: count.tries, attempt: Some(count.attempts) };
    let written = if is_counted { Ok(()) } else { write(physical, count) };
    if let Err(error) = written.and_then(|()| say(run, &boot)) {
        log::warn!("this boot of a deployment on trial is not counted: {error}");
        no_attempt(run, count.tries);
        return false;
    }
    log::info!("/{} is on trial: attempt {} of {}", count.deployment, count.attempts, count.tries);
    if let Err(error) = mean_it(&physical.proc, run) {
        log::warn!("{error}: a crash may not reboot this machine");
    }
    true
}

/// The same as a step.
pub(super) fn count_in(stage: &mut Stage<'_>, attempt: &Count, is_counted: bool) -> bool {
    stage.undo.boot_trial = count(stage.physical, &stage.run, attempt, is_counted);
    stage.undo.boot_trial
}

/// Counts a boot that has failed before there was a plan. Returns whether it counts.
pub(crate) fn count_a_failure(physical: &PhysicalRoot, attempt: &Count, is_counted: bool) -> bool {
    let run = dir::open_root(Path::new("/run")).context("open", "/run");
    let run =
        run.and_then(|run| dir::make(&run, "ostree", 0o755).context("make the directory", "/run/ostree").map(|()| run));
    run.map_or_else(
        |error| {
            log::warn!("this boot is not counted: {error}");
            false
        },
        |run| count(physical, &run, attempt, is_counted),
    )
}

/// Overwrites the file in place: one sector, which is written whole or not at all.
fn write(physical: &PhysicalRoot, count: &Count) -> Result<(), SystemError> {
    let path = format!("{DIRECTORY}/{COUNT}");
    let shown = format!("/{path}");
    let Some(bytes) = count.to_bytes() else { return Err(Errno::NAMETOOLONG).context("write", shown) };
    let writable = Writable::of(physical).context("write to", "the root filesystem")?;
    let write = || -> Result<(), Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        // No link on the way leads to another file.
        let file = dir::open_plainly(&writable, &path, flags)?;
        let stat = dir::stat_fd(&file)?;
        // A file of another size could need another sector, or a link in it another file.
        if stat.kind != Kind::File || stat.size != COUNT_SIZE as u64 {
            return Err(Errno::INVAL);
        }
        let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&file, &bytes, 0))?;
        if written != bytes.len() {
            return Err(Errno::IO);
        }
        rustix::fs::fdatasync(&file)
    };
    write().context("write", shown)
}

fn say(run: &OwnedFd, boot: &BootCount) -> Result<(), SystemError> {
    let ostree = dir::open_directory(run, "ostree").context("open", "/run/ostree")?;
    if boot.attempt.is_some() {
        dir::replace_volatile_file(&ostree, BOOT_TRIAL, b"", 0o644).context("write", "/run/ostree/boot-trial")?;
    }
    dir::replace_volatile_file(&ostree, BOOT_COUNT, boot.to_string().as_bytes(), 0o644)
        .context("write", "/run/ostree/boot-count")
}

/// What a boot loader that counts has on the command line: a crash of the kernel or of systemd does not wait for a person.
fn mean_it(proc: &Proc, run: &OwnedFd) -> Result<(), SystemError> {
    proc.reboot_after_panic(PANIC_SECONDS)?;
    dir::make(run, "systemd", 0o755).context("make the directory", "/run/systemd")?;
    let systemd = dir::open_directory(run, "systemd").context("open", "/run/systemd")?;
    let directory = format_args!("/run/systemd/{SYSTEMD_CONF}");
    dir::make(&systemd, SYSTEMD_CONF, 0o755).context("make the directory", directory)?;
    let conf = dir::open_directory(&systemd, SYSTEMD_CONF).context("open", directory)?;
    dir::replace_volatile_file(conf, "50-firstroot-trial.conf", CRASHES_REBOOT.as_bytes(), 0o644)
        .context("write", format_args!("{directory}/50-firstroot-trial.conf"))
}
