//! Finds out who runs this program.

use system::{Context, SystemError, dir};

use crate::facts::{Caller, SystemdMode};

/// sd_booted(3) checks for it.
const SYSTEMD: &str = "/run/systemd/system";

/// Checks for systemd, unless an option decides.
///
/// # Errors
/// As `access(2)`: it must be certain who mounts `/var`.
pub(crate) fn caller(systemd: SystemdMode) -> Result<Caller, SystemError> {
    let there = match systemd {
        SystemdMode::Yes => true,
        SystemdMode::No => false,
        SystemdMode::Auto => dir::exists(SYSTEMD).context("look for", SYSTEMD)?,
    };
    Ok(if there { Caller::Systemd } else { Caller::Script })
}
