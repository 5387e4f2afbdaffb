//! systemd-boot of a release of Debian.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::cache::Cache;
use crate::firmware::LOADER;
use crate::guest::Guest;
use crate::unpacked;

const PACKAGE: &str = "systemd-boot-efi";

/// The program of `guest`'s release.
pub(crate) fn of(guest: Guest, cache: &Cache) -> Result<PathBuf> {
    let program = unpacked::of(PACKAGE, guest, cache)?.join(LOADER.trim_start_matches('/'));
    ensure!(program.is_file(), "{PACKAGE} of {guest} has no {LOADER}");
    Ok(program)
}
