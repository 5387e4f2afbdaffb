//! rEFInd of a release of Debian: a boot manager that reads no boot loader entries, and starts other boot loaders.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::cache::Cache;
use crate::guest::Guest;
use crate::unpacked;

const PACKAGE: &str = "refind";
const PROGRAM: &str = "usr/share/refind/refind/refind_x64.efi";

/// It starts what it has found of systemd-boot by itself, and nobody is waited for.
pub(crate) const CONFIGURATION: &str = "timeout 1\ntextonly\ndefault_selection systemd\n";

/// The program of `guest`'s release.
pub(crate) fn of(guest: Guest, cache: &Cache) -> Result<PathBuf> {
    let program = unpacked::of(PACKAGE, guest, cache)?.join(PROGRAM);
    ensure!(program.is_file(), "{PACKAGE} of {guest} has no {PROGRAM}");
    Ok(program)
}
