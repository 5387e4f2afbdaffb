//! The programs that are measured.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::binary;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contestant {
    /// This project's.
    Ours,
    /// libostree's, with the guest's libraries.
    Peer,
    /// Makes the same mounts and does nothing else: nothing can be faster.
    Floor,
}

/// What is built for a run; the peer's comes with the guest.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The static binary that ships.
    pub(crate) ours: PathBuf,
    /// `system/examples/floor.rs`, linked the same way.
    pub(crate) floor: PathBuf,
}

impl Programs {
    /// Builds them.
    pub(crate) fn build() -> Result<Programs> {
        Ok(Programs {
            ours: binary::build(binary::PREPARE_ROOT)?,
            floor: binary::build_floor().context("building the floor")?,
        })
    }
}
