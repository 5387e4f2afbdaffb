//! `cargo xtask bench`.

use anyhow::Result;

/// Figures.
pub(crate) fn bench() -> Result<()> {
    Ok(())
}
