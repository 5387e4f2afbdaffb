//! What every command about the ESP reads first, under the lock of the sysroot.

use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::time::Duration;

use esp_projection::further::{Further, Work, further};
use esp_projection::plan::Step;
use esp_projection::projection::Projection;
use esp_projection::read::partition;
use esp_projection::settings::Settings;
use finalize_staged::inspect;
use ostree_formats::cmdline::KernelCommandLine;
use ostree_sysroot::Sysroot;
use system::lock::Lock;
use system::proc::Proc;
use system::program::Program;

use super::failure::Failure;
use crate::place::{Place, is_root};

/// How long another program is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether `esp.conf` must ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// It must.
    OfTheConfiguration,
    /// Not in a boot that counts.
    OfATrial,
    /// It must, and the list in `/boot` is written, too.
    OfTheConfigurationWithTheList,
    /// Whatever it says: it is about to ask for it, or does no longer.
    InAnyCase,
}

/// The system and its list, under the lock.
pub(super) struct Locked {
    pub(super) place: Place,
    pub(super) sysroot: Sysroot,
    pub(super) settings: Settings,
    /// The root of the running system, as it was before this process got mounts of its own.
    pub(super) system: OwnedFd,
    _lock: Lock,
}

/// The system, its list and its ESP.
pub(super) struct Opened {
    // Dropped first: the ESP is read-only again before the lock is free.
    pub(super) projection: Projection,
    pub(super) locked: Locked,
}

impl Locked {
    pub(super) fn open(mut place: Place, settings: Settings, with_boot: bool) -> Result<Self, Failure> {
        let system = place.roots.system.try_clone().map_err(text)?;
        place.roots =
            if with_boot { inspect::writable_roots_and_boot() } else { inspect::writable_roots() }.map_err(text)?;
        let lock = inspect::lock(&place.roots, PATIENCE)?;
        let sysroot = Sysroot::load(&place.roots).map_err(text)?;
        Ok(Self { place, sysroot, settings, system, _lock: lock })
    }

    /// Reads the list again, after something has changed it.
    pub(super) fn read_again(self) -> Result<Self, Failure> {
        let sysroot = Sysroot::load(&self.place.roots).map_err(text)?;
        Ok(Self { sysroot, ..self })
    }
}

impl Opened {
    /// `None`: this system has no projection.
    pub(super) fn open(command: &'static str, whose: Whose) -> Result<Option<Self>, Failure> {
        let place = Place::open(None, command).map_err(text)?;
        // A boot that counts must end counting, whatever this tree's configuration says.
        let may_default = whose == Whose::OfATrial && is_trial()?;
        let is_counted = || inspect::attempts(&place.roots).is_ok_and(|attempts| attempts.is_attempt);
        let settings = match Settings::read(&place.roots.system) {
            // It is told by what ends that trial.
            Err(_) if whose == Whose::OfATrial && !may_default && is_counted() => return Ok(None),
            other => other.or_else(|error| {
                log::warn!("{error}");
                if may_default { Ok(Settings::default()) } else { Err(error) }
            })?,
        };
        if !settings.enabled && !may_default && whose != Whose::InAnyCase {
            return Ok(None);
        }
        settings.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        if !is_root() {
            return Err("reading the ESP needs root".to_owned().into());
        }
        let locked = Locked::open(place, settings, whose == Whose::OfTheConfigurationWithTheList)?;
        let read = || Projection::read(&locked.place.roots, &locked.sysroot, &locked.settings);
        let projection = match read() {
            // Early in a boot.
            Err(error) if error.may_be_too_early() => {
                wait_for_udev();
                read()
            }
            other => other,
        }
        .map_err(text)?;
        // The same for the disks of further ones.
        if locked.settings.also.iter().any(|wanted| matches!(partition::named(wanted), Ok(None))) {
            wait_for_udev();
        }
        Ok(Some(Self { locked, projection }))
    }

    /// Reads list and ESP again, after something has changed them.
    pub(super) fn read_again(self) -> Result<Self, Failure> {
        let Self { locked, projection } = self;
        // It restores how the ESP was mounted.
        drop(projection);
        let locked = locked.read_again()?;
        let projection = Projection::read(&locked.place.roots, &locked.sysroot, &locked.settings).map_err(text)?;
        Ok(Self { locked, projection })
    }

    /// Executes steps.
    pub(super) fn execute(&mut self, steps: &[Step]) -> Result<(), Failure> {
        Ok(self.projection.execute(&self.locked.place.roots, steps, &mut || ()).map_err(text)?)
    }

    /// Does something with further ESPs. What is wrong with one is a warning.
    pub(super) fn further(&self, work: Work) -> Vec<Further> {
        let all = further(&self.projection, &self.locked.place.roots, &self.locked.settings.also, work);
        for further in &all {
            if let Err(error) = &further.steps {
                log::warn!("{further}: {error}");
            }
        }
        all
    }
}

/// Why a command does nothing.
pub(super) const NOTHING_TO_DO: &str =
    "nothing to do: /etc/ostree/esp.conf does not say [esp] enabled=yes, and the initramfs does not count boots";

fn is_trial() -> Result<bool, String> {
    let line = Proc::open().and_then(|proc| proc.command_line()).map_err(text)?;
    Ok(KernelCommandLine::new(line).is_trial())
}

/// Until it has seen all devices that there are now. If that fails, the second attempt says what is missing.
fn wait_for_udev() {
    const SETTLE: [&[u8]; 3] = [b"/usr/bin/udevadm", b"settle", b"--timeout=30"];
    let _ = Program::new(&SETTLE, &[b"PATH=/usr/bin:/bin"]).and_then(|program| program.run_in_this_group());
}

pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}
