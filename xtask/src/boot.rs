//! `cargo xtask boot`: a system made and booted before your eyes.

use anyhow::Result;
use qemu_tests::boot::{BootOptions, show};
use qemu_tests::catalogue;

/// The machine that a newcomer sees first.
const DEFAULT: &str = "ext4";

/// Makes, boots, shows.
pub(crate) fn boot(scenario: Option<&str>, interactive: bool) -> Result<()> {
    show(&catalogue::scenario(scenario.unwrap_or(DEFAULT))?, &BootOptions { interactive })
}
