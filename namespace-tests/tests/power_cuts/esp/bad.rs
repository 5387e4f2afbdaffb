//! Something stands in the way on the ESP: the old default goes on to boot, or the new one does, and what is not ours stays.

use std::fs;

use anyhow::{Context, Result, ensure};
use namespace_tests::esp_cut::{Bits, Disk, files, look_at};
use qemu_tests::guest::Guest;
use qemu_tests::logged_disks::{LoggedDisk, LoggedRun};

use super::{DRIVERS, directory_in_memory, inside};

/// What it is: see `esp-power-cuts/src/bad.rs`.
struct Case {
    name: &'static str,
    /// What boots afterwards.
    boots: &'static str,
    /// What the projection has told.
    told: &'static str,
    /// A file that must stay as it is.
    others: Option<&'static str>,
}

const fn case(name: &'static str, boots: &'static str, told: &'static str) -> Case {
    Case { name, boots, told, others: None }
}

impl Case {
    const fn with(self, path: &'static str) -> Case {
        Case { others: Some(path), ..self }
    }
}

const KERNEL: &str = "ostree/os-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const IN_PLACE_OF_A_KERNEL: &str =
    "ostree/os-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/vmlinuz/others";

const CASES: [Case; 14] = [
    case("first", "-", "cannot make loader on the ESP: Not a directory").with("loader"),
    case("dir-for-kernel", "a", "cannot write ostree/os-b").with(IN_PLACE_OF_A_KERNEL),
    case("file-for-dir", "a", "cannot make ostree/os-b").with(KERNEL),
    case("dir-for-entry", "a", "cannot write loader/entries/ostree-"),
    case("dir-for-sums", "a", "cannot read ostree/os-b"),
    // What has our names is ours.
    case("foreign-kernel", "b", "nothing"),
    case("foreign-entry", "b", "nothing"),
    case("short-names", "b", "nothing").with("loader/entries/OSTREE~1.CON"),
    case("upper-case", "b", "nothing"),
    // Linux counts itself.
    case("free-count-lies", "a", "the ESP is full: "),
    case("clock-of-1970", "b", "nothing"),
    case("dirty", "b", "nothing"),
    case("killed", "b", "nothing").with("of-the-killed"),
    case("read-only", "a", "cannot write to the ESP /dev/vd"),
];

pub(super) fn bad_input_loses_nothing(guest: Guest) -> Result<()> {
    let directory = directory_in_memory()?;
    let mut disks = Vec::new();
    for Case { name, .. } in &CASES {
        let [image, log] = ["img", "log"].map(|kind| directory.path().join(format!("{name}.{kind}")));
        if let Some(LoggedDisk { image: made, .. }) = disks.first() {
            fs::copy(made, &image).context("copying a disk")?;
        } else {
            Disk::make(Bits::ThirtyTwo, &image, directory.path())?;
        }
        disks.push(LoggedDisk { name: format!("bad-{name}"), image, log });
    }
    LoggedRun { guest, drivers: &DRIVERS, files: &inside()?, disks: &disks }.run()?;
    for (Case { name, boots, told, others }, LoggedDisk { image, .. }) in CASES.iter().zip(&disks) {
        let others: Vec<&str> = others.iter().copied().collect();
        let seen = look_at(image, files(), &others).context(*name)?;
        let stays = seen.others.iter().all(|content| content.as_deref() == Some(b"not firstroot's".as_slice()));
        let is_told = seen.told.contains(&format!("told {told}"));
        ensure!(stays && is_told && seen.boots == *boots && seen.problems.is_empty(), "{name}: {seen:?}");
    }
    Ok(())
}
