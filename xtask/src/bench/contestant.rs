//! The programs that are measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{binary, linkage, workspace};

/// As for the binary that ships, so that both are linked the same way.
const RUSTFLAGS: &str = "-C target-feature=+crt-static -C relocation-model=static";

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
    /// Of `floor.rs`.
    pub(crate) floor: PathBuf,
}

impl Programs {
    /// Builds them.
    pub(crate) fn build() -> Result<Programs> {
        let ours = binary::build()?;
        let floor = build_floor(&ours).context("building the floor")?;
        Ok(Programs { ours, floor })
    }
}

/// Builds it where `ours` was built, for the same target: most of what it is made of is there already.
fn build_floor(ours: &Path) -> Result<PathBuf> {
    let release = ours.parent().context("a binary has a directory")?;
    let of_target = release.parent().context("release has a directory")?;
    let (Some(target_directory), Some(target)) = (of_target.parent(), of_target.file_name()) else {
        anyhow::bail!("{} is not in a target's directory", ours.display());
    };
    workspace::run(
        workspace::cargo()
            .args(["build", "--quiet", "--release", "--locked", "--package", "xtask", "--example", "floor", "--target"])
            .arg(target)
            .arg("--target-dir")
            .arg(target_directory)
            .env("RUSTFLAGS", RUSTFLAGS),
    )?;
    let floor = release.join("examples/floor");
    let bytes = std::fs::read(&floor).with_context(|| format!("reading {}", floor.display()))?;
    linkage::require_static(&bytes).with_context(|| floor.display().to_string())?;
    Ok(floor)
}
