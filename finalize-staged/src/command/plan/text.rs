//! A plan as text.

use std::fmt::Write;

use boot_list::plan::swap::Swap;
use ostree_sysroot::boot_contents::InstallMethod;
use system::printable::printable;

use super::shown::{Shown, ShownBootLoader, ShownEtc};

/// The plan as lines.
pub(super) fn text(shown: &Shown) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{}", printable(&text));
    };
    let Some(staged) = &shown.staged else {
        line(
            if shown.locked {
                "the staged deployment is locked: nothing would be done"
            } else {
                "no deployment is staged"
            }
            .to_owned(),
        );
        return out;
    };
    line(format!("staged: {staged}"));
    if let Some(reason) = &shown.left_to_ostree {
        line(format!("ostree would finalize this: {reason}"));
    }
    for warning in &shown.warnings {
        line(format!("warning: {warning}"));
    }
    if let Some(etc) = &shown.etc {
        etc_text(etc, &mut line);
    }
    if let Some(selinux) = &shown.selinux {
        selinux.lines().into_iter().for_each(&mut line);
    }
    match shown.swap {
        Some(Swap::Loader) => line("boot loader entries: new ones are written".to_owned()),
        Some(Swap::Bootlinks) => line("boot loader entries: unchanged, only the boot links are swapped".to_owned()),
        None => {}
    }
    shown.entries.iter().for_each(|entry| {
        line(format!("  {}", entry.path));
        entry.content.lines().for_each(|text| line(format!("    {text}")));
    });
    shown.boot_loader.iter().for_each(|boot_loader| boot_loader_text(boot_loader, &mut line));
    shown.dropped_entries.iter().for_each(|entry| line(format!("  removed entry: {entry}")));
    for install in &shown.boot.installs {
        let files: Vec<&str> = install.files.iter().map(|file| file.target.as_str()).collect();
        let method = match install.method {
            InstallMethod::NewDirectory => "installed",
            InstallMethod::Prepared => "prepared",
            InstallMethod::Repair => "repaired",
        };
        line(format!("  {method}: /boot/ostree/{}: {}", install.directory, files.join(" ")));
    }
    line(format!("needed in /boot: {} bytes", shown.boot_bytes));
    shown.deployments.iter().for_each(|path| line(format!("deployment: {path}")));
    shown.removed_deployments.iter().for_each(|path| line(format!("removed deployment: {path}")));
    out
}

fn boot_loader_text(boot_loader: &ShownBootLoader, line: &mut impl FnMut(String)) {
    if let Some(file) = &boot_loader.file {
        line(format!("  {} of {}", file.path, boot_loader.name));
        file.content.lines().for_each(|text| line(format!("    {text}")));
    }
    if !boot_loader.program.is_empty() {
        line(format!("  run: {}", boot_loader.program.join(" ")));
    }
    boot_loader.notes.iter().for_each(|note| line(format!("note: {note}")));
}

fn etc_text(etc: &ShownEtc, line: &mut impl FnMut(String)) {
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
        ("unreadable", &etc.unreadable),
    ];
    for (word, paths) in lists {
        paths.iter().for_each(|path| line(format!("  {word}: {path}")));
    }
    etc.conflicts.iter().for_each(|conflict| line(format!("  conflict: {conflict}")));
}
