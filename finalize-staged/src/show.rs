//! `--plan`: what finalization would do now, for people and for machines. Changes nothing, and needs no root for what anybody may
//! read.

use std::fmt::Write;

use rustix::io::Errno;
use serde::Serialize;
use system::output;
use system::printable::printable;

use crate::Status;
use crate::boot_files::BootFiles;
use crate::boot_plan::{Swap, Written};
use crate::cleanup::{self, Unreadable};
use crate::error::Error;
use crate::etc_merge::path::EtcPath;
use crate::etc_merge::plan::Conflict;
use crate::finalization::{self, Finalization};
use crate::foreign::LoaderPath;
use crate::handover;
use crate::roots::Roots;
use crate::staged::{Found, RunOstree};
use crate::sysroot::{self, Sysroot};

/// The plan as it is shown; `docs/json/finalize-staged-plan.schema.json` has its form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    staged: Option<String>,
    locked: bool,
    left_to_ostree: Option<String>,
    etc: Option<ShownEtc>,
    swap: Option<Swap>,
    entries: Vec<Written>,
    dropped_entries: Vec<String>,
    deployments: Vec<String>,
    removed_deployments: Vec<String>,
    boot: BootFiles,
    boot_bytes: u64,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct ShownEtc {
    from: String,
    added: Vec<EtcPath>,
    modified: Vec<EtcPath>,
    removed: Vec<EtcPath>,
    conflicts: Vec<Conflict>,
    not_carried_over: Vec<EtcPath>,
    unreadable: Vec<EtcPath>,
}

/// Prints it.
pub(crate) fn show(json: bool) -> Status {
    match look() {
        Ok(shown) => {
            // A reader that went away has read what it wanted.
            let _ = match json {
                true => output::print_json(&(serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n")),
                false => output::print(&text(&shown)),
            };
            crate::SUCCESS
        }
        Err(error) => {
            log::error!("error: {error}");
            crate::FAILED
        }
    }
}

fn look() -> Result<Shown, Error> {
    if !sysroot::is_booted()? {
        return Err(Error::NotBooted);
    }
    let mut shown = Shown {
        staged: None,
        locked: false,
        left_to_ostree: None,
        etc: None,
        swap: None,
        entries: Vec::new(),
        dropped_entries: Vec::new(),
        deployments: Vec::new(),
        removed_deployments: Vec::new(),
        boot: BootFiles::default(),
        boot_bytes: 0,
        warnings: Vec::new(),
    };
    let Some(run) = RunOstree::open()? else { return Ok(shown) };
    let (staged, used) = match run.find()? {
        Found::Nothing | Found::Empty => return Ok(shown),
        Found::Locked => {
            shown.locked = true;
            return Ok(shown);
        }
        Found::Staged { state, used } => (state, used),
        Found::Interrupted(state, _) => (state, true),
    };
    shown.staged = Some(format!("/{}", staged.target.deployment));
    let roots = Roots::open()?;
    if roots.boot_is_fat()? {
        return Err(Error::BootOnFat);
    }
    let lenient = !rustix::process::geteuid().is_root();
    let sysroot = match handover::sysroot_or_reason(&roots, &staged.target.deployment) {
        Ok(Ok(sysroot)) => sysroot,
        Ok(Err(reason)) => {
            shown.left_to_ostree = Some(reason);
            return Ok(shown);
        }
        Err(Error::System(error)) if lenient && error.reason == Errno::ACCESS => {
            shown.warnings.push(format!("{error}: only root sees whether this is left to ostree"));
            Sysroot::load(&roots)?
        }
        Err(error) => return Err(error),
    };
    shown.warnings.extend(sysroot.warnings.iter().cloned());
    let plan = finalization::plan(&roots, Some(&run), &sysroot, &staged, used, lenient)?;
    fill(&mut shown, &roots, &sysroot, plan)?;
    Ok(shown)
}

fn fill(shown: &mut Shown, roots: &Roots, sysroot: &Sysroot, plan: Finalization) -> Result<(), Error> {
    let Finalization { etc, boot, files, .. } = plan;
    shown.etc = etc.map(|etc| ShownEtc {
        from: format!("/{}", etc.from),
        added: etc.plan.added,
        modified: etc.plan.modified,
        removed: etc.plan.removed,
        conflicts: etc.plan.conflicts,
        not_carried_over: etc.skipped.into_iter().map(|skipped| skipped.path).collect(),
        unreadable: etc.unreadable,
    });
    shown.swap = Some(boot.swap);
    if boot.swap == Swap::Loader {
        let names = sysroot.deployments.iter().filter_map(|deployment| deployment.entry_name.as_ref());
        let gone = |name: &String| !boot.entries.iter().any(|entry| entry.path == *name);
        shown.dropped_entries = names.map(|name| format!("entries/{name}")).filter(gone).collect();
        shown.dropped_entries.extend(boot.foreign.dropped.iter().map(LoaderPath::relative));
    }
    shown.warnings.extend(boot.foreign.warnings.iter().cloned());
    shown.deployments = boot.list.iter().map(|listed| format!("/{}", listed.deployment.path)).collect();
    let is_root = rustix::process::geteuid().is_root();
    let unreadable = if is_root { Unreadable::IsAnError } else { Unreadable::IsEmpty };
    let current = sysroot.current(boot.bootversion, boot.subbootversion, boot.list);
    let removed = cleanup::removals(&cleanup::find(roots, unreadable)?, &current).sysroot;
    shown.removed_deployments = removed
        .into_iter()
        .filter(|path| path.parse::<ostree_formats::deployment::DeploymentPath>().is_ok())
        .map(|path| format!("/{path}"))
        .collect();
    shown.entries = boot.entries;
    shown.boot_bytes = files.bytes();
    shown.boot = files;
    Ok(())
}

fn text(shown: &Shown) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{}", printable(&text));
    };
    let Some(staged) = &shown.staged else {
        line(
            if shown.locked {
                "a deployment is staged, and locked: nothing is done"
            } else {
                "no deployment is staged"
            }
            .to_owned(),
        );
        return out;
    };
    line(format!("staged: {staged}"));
    if let Some(reason) = &shown.left_to_ostree {
        line(format!("left to ostree: {reason}"));
    }
    for warning in &shown.warnings {
        line(format!("warning: {warning}"));
    }
    if let Some(etc) = &shown.etc {
        line(format!(
            "/etc of {}: {} added, {} modified, {} removed, {} conflicts",
            etc.from,
            etc.added.len(),
            etc.modified.len(),
            etc.removed.len(),
            etc.conflicts.len()
        ));
        let lists = [
            ("added", &etc.added),
            ("modified", &etc.modified),
            ("removed", &etc.removed),
            ("not carried over", &etc.not_carried_over),
            ("not readable", &etc.unreadable),
        ];
        for (word, paths) in lists {
            paths.iter().for_each(|path| line(format!("  {word}: {path}")));
        }
        etc.conflicts.iter().for_each(|conflict| line(format!("  conflict: {conflict}")));
    }
    match shown.swap {
        Some(Swap::Loader) => line("boot loader entries: written anew".to_owned()),
        Some(Swap::Bootlinks) => line("boot loader entries: unchanged, only the boot links are swapped".to_owned()),
        None => {}
    }
    shown.entries.iter().for_each(|entry| {
        line(format!("  {}", entry.path));
        entry.content.lines().for_each(|text| line(format!("    {text}")));
    });
    shown.dropped_entries.iter().for_each(|entry| line(format!("  dropped: {entry}")));
    for install in &shown.boot.installs {
        let files: Vec<&str> = install.files.iter().map(|file| file.target.as_str()).collect();
        let way = match install.way {
            crate::boot_files::Way::NewDirectory => "installed",
            crate::boot_files::Way::Prepared => "prepared",
            crate::boot_files::Way::Repair => "repaired",
        };
        line(format!("  {way}: /boot/ostree/{}: {}", install.directory, files.join(" ")));
    }
    line(format!("bytes for /boot: {}", shown.boot_bytes));
    shown.deployments.iter().for_each(|path| line(format!("deployment: {path}")));
    shown.removed_deployments.iter().for_each(|path| line(format!("removed: {path}")));
    out
}
