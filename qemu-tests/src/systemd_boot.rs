//! systemd-boot of a release of Debian: one file of a package, without the system that it is part of.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::cache::{Cache, Recipe};
use crate::command::run;
use crate::firmware::LOADER;
use crate::guest::Guest;

const PACKAGE: &str = "systemd-boot-efi";

/// The program of `guest`'s release, unpacked if the cache has none.
pub(crate) fn of(guest: Guest, cache: &Cache) -> Result<PathBuf> {
    let suite = guest.suite();
    let recipe = Recipe::new(include_str!("systemd_boot.rs")).with("suite", suite);
    let artefact = cache.artefact(&format!("systemd-boot-{suite}"), &recipe, |directory| unpack(suite, directory))?;
    Ok(program_in(artefact.path()))
}

fn unpack(suite: &str, directory: &Path) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command
        // Nothing is installed, and so nothing that it depends on is needed.
        .args(["--quiet", "--variant=extract", "--include", PACKAGE])
        // Testing's Release file can be past its date on a mirror that is a snapshot.
        .args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\""])
        .arg(suite)
        .arg(directory.join("root"))
        .arg(apt::mirror()?);
    run(&mut command).with_context(|| format!("unpacking {PACKAGE} of {suite}"))?;
    let program = program_in(directory);
    anyhow::ensure!(program.is_file(), "{PACKAGE} of {suite} has no {LOADER}");
    Ok(())
}

fn program_in(artefact: &Path) -> PathBuf {
    artefact.join("root").join(LOADER.trim_start_matches('/'))
}
