//! Files of packages of a release of Debian, without the system that they are part of.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::cache::{Cache, Recipe};
use crate::command::run;
use crate::guest::Guest;

/// The directory in which `packages` of `guest`'s release, and all that they depend on, are unpacked; from the cache, if that has them.
pub(crate) fn of(packages: &str, guest: Guest, cache: &Cache) -> Result<PathBuf> {
    let suite = guest.suite();
    let recipe = Recipe::new(include_str!("unpacked.rs")).with("suite", suite).with("packages", packages);
    let first = packages.split(',').next().unwrap_or(packages);
    let artefact = cache.artefact(&format!("unpacked-{suite}-{first}"), &recipe, |directory| {
        let mut command = Command::new("mmdebstrap");
        command
            // Nothing is installed.
            .args(["--quiet", "--variant=extract", "--include", packages])
            // Testing's Release file can be past its date on a mirror that is a snapshot.
            .args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Languages \"none\""])
            .arg(suite)
            .arg(directory.join("root"))
            .arg(apt::mirror()?);
        run(&mut command).with_context(|| format!("unpacking {packages} of {suite}")).map(drop)
    })?;
    Ok(artefact.path().join("root"))
}
