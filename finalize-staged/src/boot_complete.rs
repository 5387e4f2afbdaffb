//! `--boot-complete`: at the next boot, says that the last finalization failed, and finishes a soft reboot.

use rustix::io::Errno;
use system::{Context, dir};

use crate::error::Error;
use crate::roots::Roots;
use crate::run::require_booted_and_root;
use crate::staged;
use crate::stamp;
use crate::sysroot;

/// What a boot is told about the shutdown before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// Nothing.
    Nothing,
    /// Finalization failed: the text of the stamp.
    Failed(String),
}

/// Reads and removes the stamp.
pub(crate) fn boot_complete() -> Result<Report, Error> {
    require_booted_and_root()?;
    // First: whatever else is to be said, what is booted now is what `/run/ostree-booted` has to tell of.
    finish_soft_reboot()?;
    let roots = Roots::open()?;
    let Some(text) = stamp::read(&roots)? else { return Ok(Report::Nothing) };
    // That it cannot be removed is no reason not to say what it says.
    match Roots::open_writable() {
        Ok(roots) => stamp::remove(&roots),
        Err(error) => log::warn!("{error}: {} stays, and will be reported again", stamp::PATH),
    }
    let is_booted = match stamp::target(&text) {
        Some(target) => sysroot::is_the_booted_one(&roots, &target)?,
        None => false,
    };
    if is_booted {
        log::info!("{} was left by a run that had put the update in place: it is removed", stamp::PATH);
        return Ok(Report::Nothing);
    }
    Ok(Report::Failed(text))
}

fn finish_soft_reboot() -> Result<(), Error> {
    const NEXT: &str = "ostree/nextroot-booted";
    let run = dir::open_root(std::path::Path::new("/run")).context("open", "/run")?;
    match rustix::fs::renameat(&run, NEXT, &run, "ostree-booted") {
        Ok(()) => {
            log::info!("the soft reboot is complete");
            // What an interrupted finalization kept was about the system before it.
            if let Some(run) = staged::RunOstree::open()? {
                run.end()?;
            }
            Ok(())
        }
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Ok(Err(error).context("rename", format_args!("/run/{NEXT}"))?),
    }
}
