//! What dpkg knows of the packages of a guest.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The packages that are installed in `root`, by name, each with its paths. Files that were left out when it was installed are
/// among them.
pub fn packages(root: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let lists = root.join("var/lib/dpkg/info");
    let mut packages = Vec::new();
    for entry in fs::read_dir(&lists).with_context(|| format!("listing {}", lists.display()))? {
        let name = entry.context("listing dpkg's files")?.file_name().to_string_lossy().into_owned();
        let Some(package) = name.strip_suffix(".list") else { continue };
        let text = fs::read_to_string(lists.join(&name)).with_context(|| format!("reading {name}"))?;
        let package = package.split_once(':').map_or(package, |(package, _)| package);
        packages.push((package.to_owned(), text.lines().map(str::to_owned).collect()));
    }
    Ok(packages)
}
