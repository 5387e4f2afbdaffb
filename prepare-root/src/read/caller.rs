//! Finds out who runs this program.

use system::{Context, SystemError, dir};

use crate::facts::{Caller, SystemdMode};

/// sd_booted(3)'s sign.
const SYSTEMD: &str = "/run/systemd/system";

/// Whether systemd is there is told by its sign, unless somebody says it.
///
/// # Errors
/// As `access(2)`: who else mounts `/var` is not guessed.
pub(crate) fn caller(systemd: SystemdMode) -> Result<Caller, SystemError> {
    let there = match systemd {
        SystemdMode::Yes => true,
        SystemdMode::No => false,
        SystemdMode::Auto => dir::exists(SYSTEMD).context("look for", SYSTEMD)?,
    };
    Ok(if there { Caller::Systemd } else { Caller::Script })
}
