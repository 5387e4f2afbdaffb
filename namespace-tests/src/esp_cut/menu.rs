//! What a boot loader finds on an ESP, and what of it is not whole.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use ostree_formats::projected_entry::{ProjectedName, deployment_in};

use super::disk::{OTHERS, others};
use super::fat::{Entry, Fat};

const ENTRIES: &str = "loader/entries";
/// What firstroot makes and removes while it makes a directory larger.
const MAKES_ROOM: &str = "firstroot-makes-room-";

/// What must be found.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Files of payloads, by their paths.
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Texts of entries that a program has written. Empty: any.
    pub(super) texts: BTreeSet<Vec<u8>>,
}

/// An entry.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) name: ProjectedName,
    /// `None`: it cannot be read, or has no kernel: a boot loader passes it over.
    pub(super) text: Option<Vec<u8>>,
    /// Why it does not boot.
    pub(super) problem: Option<String>,
}

/// What is on an ESP.
#[derive(Debug)]
pub(super) struct Menu {
    pub(super) entries: Vec<Shown>,
    /// What is not whole besides.
    pub(super) problems: Vec<String>,
}

impl Menu {
    pub(super) fn of(fat: &Fat<'_>, known: &Known) -> Result<Menu> {
        let mut entries = Vec::new();
        if let Some(directory) = fat.find(ENTRIES)? {
            let listing = fat.list(&directory)?;
            let is_entry = |entry: &&Entry| !entry.is_directory && entry.name.to_ascii_lowercase().ends_with(".conf");
            for entry in listing.entries.iter().filter(is_entry) {
                entries.push(shown(fat, entry, known)?);
            }
        }
        let mut problems: Vec<String> = payload_problems(fat, known)?;
        problems.extend(directory_problems(fat)?);
        if fat.find(OTHERS)?.map(|entry| fat.read(&entry)).transpose()? != Some(others()) {
            problems.push(format!("{OTHERS} is another one"));
        }
        let good = entries.iter().filter(|entry| !entry.name.is_bad());
        let (counted, not): (Vec<&Shown>, Vec<&Shown>) = good.partition(|entry| entry.name.tries.is_some());
        if !counted.is_empty() && not.iter().all(|entry| entry.problem.is_some()) {
            problems.push("an entry counts, and there is none to fall back to".to_owned());
        }
        Ok(Menu { entries, problems })
    }

    /// What systemd-boot boots: bad entries are last, and the higher version is first.
    pub(super) fn chosen(&self) -> Option<&Shown> {
        let candidates = self.entries.iter().filter(|entry| entry.text.is_some());
        candidates.max_by_key(|entry| (!entry.name.is_bad(), entry.name.order))
    }
}

fn shown(fat: &Fat<'_>, entry: &Entry, known: &Known) -> Result<Shown> {
    let name: ProjectedName = entry.name.to_ascii_lowercase().parse()?;
    let text = match fat.read(entry) {
        Ok(text) => text,
        Err(error) => return Ok(Shown { name, text: None, problem: Some(format!("{error:#}")) }),
    };
    let paths = paths(&text);
    // systemd-boot looks the kernel up.
    let is_there = paths.first().map(|kernel| fat.find(kernel)).transpose()?.flatten().is_some();
    let problem = whole(fat, &name, &text, &paths, known).err().map(|error| format!("{error:#}"));
    Ok(Shown { name, text: is_there.then_some(text), problem })
}

/// The kernel that an entry names, and then the initramfs.
fn paths(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let values = |key: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once(' ').filter(|(found, _)| *found == key));
        lines.flat_map(|(_, value)| value.split(' ')).map(|path| path.trim_start_matches('/').to_owned()).collect()
    };
    [values("linux"), values("initrd")].concat()
}

/// That an entry boots, with all that it names.
fn whole(fat: &Fat<'_>, name: &ProjectedName, text: &[u8], paths: &[String], known: &Known) -> Result<()> {
    ensure!(!text.is_empty(), "it is empty");
    ensure!(known.texts.is_empty() || known.texts.contains(text), "its text is none that was written");
    let deployment = deployment_in(&String::from_utf8_lossy(text)).context("its text names no deployment")?;
    ensure!(name.is_of(&deployment.id), "its text is of another deployment, {deployment}");
    let is_image = paths.first().is_some_and(|path| path.contains("/uki-"));
    ensure!(paths.len() == if is_image { 1 } else { 3 }, "it names {paths:?}");
    let addon = paths.first().filter(|_| is_image).map(|path| format!("{path}.extra.d/a.addon.efi"));
    for path in paths.iter().chain(&addon) {
        let expected = known.files.get(path).with_context(|| format!("it names {path}, which no list has"))?;
        let found = fat.find(path)?.with_context(|| format!("{path} is not there"))?;
        ensure!(fat.read(&found)? == *expected, "{path} has another content");
    }
    Ok(())
}

/// Directories whose chain is broken. One that had nothing in it has lost nothing.
fn directory_problems(fat: &Fat<'_>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in ["EFI", "EFI/BOOT", "loader", ENTRIES, "ostree", "ostree/initramfs-overlays"] {
        let Some(directory) = fat.find(path)?.filter(|found| found.is_directory) else { continue };
        let listing = fat.list(&directory)?;
        let is_empty = listing.entries.iter().all(|entry| entry.name.starts_with(MAKES_ROOM));
        problems.extend(listing.problem.filter(|_| !is_empty).map(|problem| format!("{path}: {problem}")));
    }
    Ok(problems)
}

/// What the next run would believe to be complete, and is not.
fn payload_problems(fat: &Fat<'_>, known: &Known) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (path, expected) in &known.files {
        if let Err(error) = is_not_believed_wrongly(fat, path, expected) {
            problems.push(format!("{path}: {error:#}"));
        }
    }
    Ok(problems)
}

fn is_not_believed_wrongly(fat: &Fat<'_>, path: &str, expected: &[u8]) -> Result<()> {
    // An overlay is complete when it has its size. A kernel's directory has a list.
    if path.starts_with("ostree/os-") {
        let directory: Vec<&str> = path.splitn(3, '/').collect();
        let [ostree, directory, name] = directory.as_slice() else { bail!("a path of another kind") };
        let Some(sums) = fat.find(&format!("{ostree}/{directory}/SHA256SUMS")).unwrap_or_default() else {
            return Ok(());
        };
        let Ok(sums) = fat.read(&sums) else { return Ok(()) };
        let line = format!("  {name}\n");
        if !String::from_utf8_lossy(&sums).contains(&line) {
            return Ok(());
        }
    }
    let Some(found) = fat.find(path).unwrap_or_default() else { return Ok(()) };
    if usize::try_from(found.size)? != expected.len() {
        return Ok(());
    }
    ensure!(fat.read(&found)? == expected, "it counts as complete, and has another content");
    Ok(())
}
