//! `cargo xtask boot`: a system made and booted before your eyes.

use anyhow::Result;

/// Makes, boots, shows.
pub(crate) fn boot(_scenario: Option<&str>, _interactive: bool) -> Result<()> {
    Ok(())
}
