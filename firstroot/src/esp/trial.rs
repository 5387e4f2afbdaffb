//! A boot that counts: whether it is good, and what follows if it is not.

use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use esp_projection::settings::{GoodWhen, Settings};
use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::rollbacks::Attempt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use system::SystemError;
use system::proc::Proc;
use system::program::{End, Program};

use super::history::{self, History};
use crate::exit_status::{FAILED, SUCCESS, Status};
use crate::place::Place;
use crate::show::print;

/// There from when this boot was found to be good.
pub(super) const BLESSED: &str = "/run/ostree/blessed";
const SYSTEMCTL: &[u8] = b"/usr/bin/systemctl";
/// How long a person may take to press a key.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether this boot is good, by `esp.conf`.
pub(super) fn check() -> Status {
    match is_good() {
        Ok(()) => SUCCESS,
        Err(error) => {
            log::error!("this boot is not good: {error}");
            write_down(&error);
            FAILED
        }
    }
}

/// For the one who is told of the rollback; it is not what decides, so that an error is only told.
fn write_down(reason: &str) {
    let note = || -> Result<(), String> {
        let place = Place::open(None, "esp trial-failed").map_err(|error| error.to_string())?;
        let deployment = place.booted()?;
        let note = |system: &OwnedFd| -> Result<(), SystemError> {
            let (boot, reason) = (history::boot_id(system)?, Some(reason.to_owned()));
            History::open(system.as_fd())?.failed(&Attempt { deployment, boot, reason })
        };
        note(&place.roots.system).map_err(|error| error.to_string())
    };
    if let Err(error) = note() {
        log::warn!("{error}");
    }
}

/// The reason, if it is not.
pub(super) fn is_good() -> Result<(), String> {
    let place = Place::open(None, "esp check-boot").map_err(|error| error.to_string())?;
    let settings = Settings::read(&place.roots.system).unwrap_or_else(|error| {
        log::warn!("{error}: the defaults count");
        Settings::default()
    });
    settings.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    if settings.good_when != GoodWhen::Sysinit && !is_reached()? {
        return Err("the default target was not reached (systemctl list-units --failed)".to_owned());
    }
    if settings.good_when == GoodWhen::NoFailures && is_true(&[b"is-failed", b"--quiet", b"*"])? {
        return Err("units have failed: systemctl list-units --failed".to_owned());
    }
    for unit in &settings.required {
        if !is_true(&[b"is-active", b"--quiet", b"--", unit.as_bytes()])? {
            return Err(format!("{unit} is not active, and [rollback] required= in /etc/ostree/esp.conf names it"));
        }
    }
    Ok(())
}

/// Whether the default target was reached, or what the kernel command line has systemd start in its place.
fn is_reached() -> Result<bool, String> {
    let line = Proc::open().and_then(|proc| proc.command_line()).map_err(|error| error.to_string())?;
    let is_active = |unit: &[u8]| is_true(&[b"is-active", b"--quiet", b"--", unit]);
    match KernelCommandLine::new(line).unit() {
        Some(unit) if is_active(unit.as_bytes())? => Ok(true),
        _ => is_active(b"default.target"),
    }
}

fn is_true(words: &[&[u8]]) -> Result<bool, String> {
    let words: Vec<&[u8]> = std::iter::once(SYSTEMCTL).chain(words.iter().copied()).collect();
    let program = Program::new(&words, &[b"PATH=/usr/bin:/bin"]).map_err(|error| error.to_string())?;
    match program.run_in_this_group() {
        Ok(End::Status(127)) => Err("systemctl cannot be executed".to_owned()),
        Ok(End::Status(status)) => Ok(status == 0),
        Ok(_) => Err("systemctl was killed".to_owned()),
        Err(error) => Err(format!("systemctl cannot be executed: {error}")),
    }
}

/// Says that this deployment is on trial, and waits for a person who wants to look at it. Without one the status is a failure: the unit
/// then reboots.
pub(super) fn failed() -> Status {
    if matches!(system::dir::exists(BLESSED), Ok(true)) {
        return SUCCESS;
    }
    let text = "firstroot: this deployment did not come up, and is on trial: the machine reboots, and tries again or goes back";
    if !std::io::stdin().is_terminal() {
        write_down("it was not found to be good");
        log::error!("{text}");
        return FAILED;
    }
    print::text(&format!("\n{text}.\nTo stay here, press Enter within {} seconds.\n", PATIENCE.as_secs()));
    if a_person_is_there() {
        return SUCCESS;
    }
    // Not before: it may wait for what this boot has failed with.
    write_down("the boot ended at an emergency prompt");
    FAILED
}

fn a_person_is_there() -> bool {
    let (stdin, end) = (std::io::stdin(), Instant::now() + PATIENCE);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(0), tv_nsec: left.subsec_nanos().into() };
        let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut polled, Some(&left)) {
            Ok(0) => return false,
            // A line that has hung up is ready, too, and has nothing to read.
            Ok(_) => return rustix::io::read(&stdin, &mut [0; 64]).is_ok_and(|count| count > 0),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
