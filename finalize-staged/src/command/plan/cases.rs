//! A directory in `tests/plans` is a case: `disk` is the state of a system, `plan` is what must come out. See [`disk_text`] for the
//! lines of `disk`. `UPDATE_EXPECT=1` rewrites `plan`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use boot_list::plan::foreign::Kept;
use boot_list::plan::removals::{Current, removals};
use expect_test::expect_file;
use ostree_sysroot::Sysroot;
use ostree_sysroot::leftovers::{self, Unreadable};

use super::{look_at, text};
use crate::error::Error;
use crate::etc_merge::known::Known;
use crate::etc_merge::plan::Step;
use crate::finalization::{self, Staging};
use crate::read::options::SysrootOptions;
use disk_text::{Disk, shortened};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans")
}

#[test]
fn every_plan_is_as_written() {
    let mut names: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert!(names.len() >= 60, "{} cases", names.len());
    for name in names {
        let case = directory().join(&name);
        let printed = print(&Disk::read(&directory(), name.to_str().unwrap()));
        expect_file![case.join("plan")].assert_eq(&shortened(&printed));
    }
}

/// What `--plan` prints, and the rest of what is decided.
fn print(disk: &Disk) -> String {
    let root = disk.make();
    let roots = disk.roots(root.path());
    let staged = disk.staged();
    let beside = disk.beside(root.path());
    let staging = Staging {
        staged: &staged,
        used: disk.used,
        options: SysrootOptions::parse(&disk.options),
        beside: &beside,
        known: &Known::default(),
        lenient: false,
    };
    let shown = match look_at(&roots, &staging) {
        Ok(shown) => shown,
        Err(error) => return format!("error: {error}\n"),
    };
    let json = serde_json::to_value(&shown).unwrap();
    json_schemas::require("finalize-staged-plan", &json).unwrap_or_else(|error| panic!("{error}\n{json:#}"));
    let mut out = text(&shown);
    if shown.left_to_ostree.is_some() {
        return out;
    }
    let sysroot = Sysroot::load(&roots).unwrap();
    match finalization::plan(&roots, &sysroot, &staging) {
        Ok(plan) => rest(&mut out, &roots, &sysroot, plan),
        Err(error) => writeln!(out, "error: {error}").unwrap(),
    }
    out
}

fn rest(out: &mut String, roots: &ostree_sysroot::Roots, sysroot: &Sysroot, plan: finalization::Finalization) {
    let boot = plan.boot;
    writeln!(out, "---\n/etc is made anew: {}", plan.reset_etc).unwrap();
    for step in plan.etc.iter().flat_map(|etc| &etc.plan.steps) {
        let (word, path) = match step {
            Step::Remove(path) => ("remove", path),
            Step::MakeWay(path) => ("make way at", path),
            Step::Directory(path) => ("directory", path),
            Step::Replace(path) => ("replace", path),
        };
        writeln!(out, "{word} {path}").unwrap();
    }
    for conflict in plan.etc.iter().flat_map(|etc| &etc.plan.conflicts) {
        writeln!(out, "{}", Error::Conflicts(vec![conflict.clone()])).unwrap();
    }
    let (n, s) = (boot.bootversion, boot.subbootversion);
    for link in &boot.links {
        writeln!(out, "boot link: /ostree/boot.{n}.{s}/{} -> {}", link.path, link.content).unwrap();
    }
    for kept in &boot.foreign.kept {
        match kept {
            Kept::AsItIs { from, to } => writeln!(out, "kept: {from} as {to}").unwrap(),
            Kept::Relinked { from, to, content } => {
                writeln!(out, "relinked: {from} as {to}\n{}", String::from_utf8_lossy(content).trim_end()).unwrap();
            }
        }
    }
    for link in &boot.swaps {
        writeln!(out, "swap: {} -> {}", link.shown(&link.name), link.target).unwrap();
    }
    let found = leftovers::find(roots, Unreadable::IsAnError).unwrap();
    let removals = removals(&found, &Current::new(sysroot, n, s, boot.list));
    removals.boot.iter().for_each(|path| writeln!(out, "removed: /boot/{path}").unwrap());
    removals.sysroot.iter().for_each(|path| writeln!(out, "removed: /sysroot/{path}").unwrap());
}
