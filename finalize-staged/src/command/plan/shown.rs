//! The part of a plan that is printed, as text or as JSON.

use boot_list::plan::BootPlan;
use boot_list::plan::removals::{Current, removals};
use boot_list::plan::swap::Swap;
use boot_list::plan::written::Written;
use ostree_sysroot::boot_contents::BootFiles;
use ostree_sysroot::foreign_file::LoaderPath;
use ostree_sysroot::leftovers::{self, Unreadable};
use ostree_sysroot::{Roots, Sysroot};
use serde::Serialize;

use super::selinux::ShownSelinux;
use crate::error::Error;
use crate::etc_merge::conflict::Conflict;
use crate::etc_merge::path::EtcPath;
use crate::finalization::Finalization;

/// The printed plan.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Shown {
    pub(super) staged: Option<String>,
    pub(super) locked: bool,
    pub(super) left_to_ostree: Option<String>,
    pub(super) etc: Option<ShownEtc>,
    pub(super) selinux: Option<ShownSelinux>,
    pub(super) swap: Option<Swap>,
    pub(super) entries: Vec<Written>,
    pub(super) boot_loader: Option<ShownBootLoader>,
    pub(super) dropped_entries: Vec<String>,
    pub(super) deployments: Vec<String>,
    pub(super) removed_deployments: Vec<String>,
    pub(super) boot: BootFiles,
    pub(super) boot_bytes: u64,
    pub(super) warnings: Vec<String>,
}

/// What a boot loader needs beside entries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ShownBootLoader {
    pub(super) name: &'static str,
    pub(super) file: Option<Written>,
    pub(super) program: Vec<String>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ShownEtc {
    pub(super) from: String,
    pub(super) added: Vec<EtcPath>,
    pub(super) modified: Vec<EtcPath>,
    pub(super) removed: Vec<EtcPath>,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) not_carried_over: Vec<EtcPath>,
    pub(super) unreadable: Vec<EtcPath>,
}

impl Shown {
    /// Adds `plan`. The deployments to remove are read from the disk.
    pub(super) fn fill(&mut self, roots: &Roots, sysroot: &Sysroot, plan: Finalization) -> Result<(), Error> {
        let Finalization { etc, boot, files, warnings, .. } = plan;
        self.warnings.extend(warnings);
        self.etc = etc.map(|etc| ShownEtc {
            from: format!("/{}", etc.from),
            added: etc.plan.added,
            modified: etc.plan.modified,
            removed: etc.plan.removed,
            conflicts: etc.plan.conflicts,
            not_carried_over: etc.skipped.into_iter().map(|skipped| skipped.path).collect(),
            unreadable: etc.unreadable,
        });
        self.swap = Some(boot.swap);
        if boot.swap == Swap::Loader {
            let names = sysroot.deployments.iter().filter_map(|deployment| deployment.entry_name.as_ref());
            let gone = |name: &String| !boot.entries.iter().any(|entry| entry.path == *name);
            self.dropped_entries = names.map(|name| format!("entries/{name}")).filter(gone).collect();
            self.dropped_entries.extend(boot.foreign.dropped.iter().map(LoaderPath::relative));
        }
        self.boot_loader = shown_boot_loader(&boot);
        self.warnings.extend(boot.loader_warnings.iter().cloned());
        self.warnings.extend(boot.foreign.warnings.iter().cloned());
        self.deployments = boot.list.iter().map(|listed| format!("/{}", listed.deployment.path)).collect();
        let is_root = rustix::process::geteuid().is_root();
        let unreadable = if is_root { Unreadable::IsAnError } else { Unreadable::IsEmpty };
        let current = Current::new(sysroot, boot.bootversion, boot.subbootversion, boot.list);
        let removed = removals(&leftovers::find(roots, unreadable)?, &current).sysroot;
        self.removed_deployments = removed
            .into_iter()
            .filter(|path| path.parse::<ostree_formats::deployment::DeploymentPath>().is_ok())
            .map(|path| format!("/{path}"))
            .collect();
        self.entries = boot.entries;
        self.boot_bytes = files.bytes();
        self.boot = files;
        Ok(())
    }
}

/// Nothing for boot loaders that only read entries.
fn shown_boot_loader(boot: &BootPlan) -> Option<ShownBootLoader> {
    let file = boot.loader_file.as_ref().map(|file| Written {
        path: file.name.to_owned(),
        content: String::from_utf8_lossy(&file.content).into_owned(),
    });
    let program = boot.grub.as_ref().and_then(|grub| {
        let output = grub.output(&boot.loader_directory());
        Some(vec![grub.program.clone()?, "-o".to_owned(), output])
    });
    let (notes, program) = (boot.loader_notes.clone(), program.unwrap_or_default());
    let is_any = file.is_some() || !notes.is_empty() || !program.is_empty();
    is_any.then(|| ShownBootLoader { name: boot.boot_loader.name(), file, program, notes })
}
