//! The projection of an ESP: after a power cut, the old default boots, or the new one, from a real FAT. A guest's kernel writes, since the
//! kernel of this machine may have no vfat.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use libtest_mimic::Trial;
use namespace_tests::esp_cut::{Bits, Disk, Judge, Left, Recording, files};
use qemu_tests::guest::Guest;
use qemu_tests::logged_disks::{LoggedDisk, LoggedRun};
use qemu_tests::rootfs;
use tempfile::TempDir;

use crate::{named, run};

mod bad;

/// Random subsets at each write.
const SAMPLE: usize = 4;
/// The same, where all are wanted.
const ALL: usize = 16;
/// Where a sabotage has to be found.
const FOR_SABOTAGES: usize = 64;

/// Random subsets among which damaged states are looked for.
const FOR_DAMAGE: usize = 8;
/// How many disks the next run is tried on: a machine has place for no more.
const DAMAGED: usize = 24;

/// What ours does in the guest: see `esp-power-cuts/src/scenarios.rs`. The name, and the deployments that boot before and after it.
const STORY: [(&str, &str, &str); 14] = [
    ("first", "-", "a"),
    ("update", "a", "b"),
    ("bless", "b", "b"),
    ("same-kernel", "b", "c"),
    ("rollback", "c", "b"),
    ("all-others", "b", "d"),
    ("not-the-default", "d", "d"),
    ("little-room", "d", "e"),
    ("removal", "e", "d"),
    ("full", "d", "d"),
    ("after-full", "d", "b"),
    ("image", "b", "f"),
    ("another-image", "f", "9"),
    ("kernel-again", "9", "b"),
];

/// How it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    NoneIsBad,
    SomeAreBad,
    Figures,
}

/// Who writes; the disk is named after it.
#[derive(Clone, Copy, Debug)]
struct Writer {
    disk: &'static str,
    bits: Bits,
    expected: Expected,
}

const WRITERS: [Writer; 10] = [
    Writer { disk: "ours-fat32", bits: Bits::ThirtyTwo, expected: Expected::NoneIsBad },
    Writer { disk: "ours-fat16", bits: Bits::Sixteen, expected: Expected::NoneIsBad },
    Writer { disk: "no-sync-of-the-file", bits: Bits::ThirtyTwo, expected: Expected::SomeAreBad },
    Writer { disk: "no-room-for-names", bits: Bits::ThirtyTwo, expected: Expected::SomeAreBad },
    Writer { disk: "no-holding", bits: Bits::ThirtyTwo, expected: Expected::SomeAreBad },
    Writer { disk: "rename-over", bits: Bits::ThirtyTwo, expected: Expected::SomeAreBad },
    Writer { disk: "removing-first", bits: Bits::ThirtyTwo, expected: Expected::SomeAreBad },
    Writer { disk: "bless-boot", bits: Bits::ThirtyTwo, expected: Expected::Figures },
    Writer { disk: "exchange", bits: Bits::ThirtyTwo, expected: Expected::Figures },
    Writer { disk: "kernel-install", bits: Bits::ThirtyTwo, expected: Expected::Figures },
];

impl Writer {
    fn name(&self, guest: Guest) -> String {
        let disk = self.disk.replace('-', "_");
        match self.expected {
            Expected::NoneIsBad => format!("esp::every_power_cut_leaves_a_default_that_boots::{guest}_{disk}"),
            Expected::SomeAreBad => format!("esp::{disk}_is_noticed::{guest}"),
            Expected::Figures => format!("esp::others::{guest}_{disk}"),
        }
    }
}

/// The program that runs in the guest, and the same with sabotages; `None`: `cargo test` alone.
fn programs() -> Option<[PathBuf; 2]> {
    let path = |variable| std::env::var_os(variable).map(PathBuf::from);
    Some([path("FIRSTROOT_ESP_POWER_CUTS")?, path("FIRSTROOT_ESP_POWER_CUTS_SABOTAGED")?])
}

fn missing(guest: Guest, is_extra: bool) -> Option<String> {
    if std::env::var_os("FIRSTROOT_PEERS").is_none() || programs().is_none() {
        return Some("cargo xtask test".to_owned());
    }
    if is_extra && !run::all_are_wanted() {
        return Some("FIRSTROOT_POWER_CUTS=all".to_owned());
    }
    rootfs::why_not_installable(guest)
}

/// All of them.
pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for guest in Guest::booted() {
        let name = format!("esp::bad_input_loses_nothing::{guest}");
        trials.push(named(name, missing(guest, guest != Guest::Trixie), move || bad::bad_input_loses_nothing(guest)));
        for writer in WRITERS {
            let is_extra = guest != Guest::Trixie || writer.expected == Expected::Figures;
            let name = writer.name(guest);
            trials.push(named(name.clone(), missing(guest, is_extra), move || {
                every_power_cut_leaves_a_default_that_boots(writer, guest, &name)
            }));
            if writer.expected == Expected::NoneIsBad {
                let is_extra = is_extra || writer.bits != Bits::ThirtyTwo;
                let name = format!("esp::the_next_run_repairs::{guest}_{}", writer.disk.replace('-', "_"));
                trials.push(named(name, missing(guest, is_extra), move || the_next_run_repairs(writer, guest)));
            }
        }
    }
    trials
}

fn every_power_cut_leaves_a_default_that_boots(writer: Writer, guest: Guest, name: &str) -> Result<()> {
    let begin = Instant::now();
    let recording = recording(writer, guest)?;
    let judge = Judge::of(&recording, files())?;
    if writer.expected == Expected::NoneIsBad {
        let story = judge.story()?;
        let story: Vec<(&str, &str, &str)> = story.iter().map(|(name, old, new)| (*name, &**old, &**new)).collect();
        ensure!(story == STORY, "the guest did something else: {story:?}");
    }
    let figures = match writer.expected {
        Expected::SomeAreBad => judge.judge(FOR_SABOTAGES, !run::all_are_wanted())?,
        _ => judge.judge(if run::all_are_wanted() { ALL } else { SAMPLE }, false)?,
    };
    eprintln!(
        "{name}: {} power cuts: {} without the old or the new default, {} with something that is not whole, {} too late; {:.1} s",
        figures.states,
        figures.without_default,
        figures.not_whole,
        figures.too_late,
        begin.elapsed().as_secs_f64()
    );
    let complaints = figures.complaints.join("\n");
    if std::env::var_os("FIRSTROOT_SHOW").is_some() {
        eprintln!("{complaints}");
    }
    match writer.expected {
        Expected::Figures => Ok(()),
        Expected::SomeAreBad => {
            ensure!(figures.bad() > 0, "none of {} power cuts was noticed", figures.states);
            Ok(())
        }
        Expected::NoneIsBad if figures.bad() == 0 => Ok(()),
        Expected::NoneIsBad => bail!("{} of {} power cuts are bad:\n{complaints}", figures.bad(), figures.states),
    }
}

/// Of the states in which something is damaged, some are written to by another guest: its kernel must not stop at the damage.
fn the_next_run_repairs(writer: Writer, guest: Guest) -> Result<()> {
    let recording = recording(writer, guest)?;
    let judge = Judge::of(&recording, files())?;
    let directory = directory_in_memory()?;
    let left = judge.damaged(FOR_DAMAGE, DAMAGED, directory.path())?;
    let name = |left: &Left| format!("again-{}-{}", left.run, left.after);
    let mut disks = Vec::new();
    for (number, left) in left.iter().enumerate() {
        let log = directory.path().join(format!("{number}.log"));
        disks.push(LoggedDisk { name: format!("{}-{number}", name(left)), image: left.image.clone(), log });
    }
    LoggedRun { guest, drivers: &DRIVERS, files: &inside()?, disks: &disks }.run()?;
    for left in &left {
        let (_, _, new) = STORY.get(left.run).context("a run that is in no story")?;
        // What could not be written before can be now.
        let expected = if *new == "d" && left.run == 9 { "b" } else { new };
        judge.after_the_next_run(&left.image, expected).with_context(|| name(left))?;
    }
    Ok(())
}

/// Disks and logs of the guests that have run in this process.
static RECORDED: Mutex<BTreeMap<Guest, Result<TempDir, String>>> = Mutex::new(BTreeMap::new());

/// What was recorded of a writer. The first one of a guest has it write to all disks.
fn recording(writer: Writer, guest: Guest) -> Result<Recording> {
    let mut recorded = RECORDED.lock().ok().context("another test has panicked")?;
    let directory = recorded.entry(guest).or_insert_with(|| record(guest).map_err(|error| format!("{error:#}")));
    let directory =
        directory.as_ref().map(|directory| directory.path().to_path_buf()).map_err(|error| anyhow!("{error}"))?;
    drop(recorded);
    Recording::read(&base(&directory, writer.bits), &directory.join(format!("{}.log", writer.disk)))
}

fn base(directory: &Path, bits: Bits) -> PathBuf {
    directory.join(format!("{bits:?}.img"))
}

/// Chooses the program by the name of the disk.
const RUN_ON: &str = "#!/bin/busybox sh
case $1 in
    ours-* | again-* | bad-*) exec /ours \"$@\" ;;
    *) FIRSTROOT_SABOTAGE=$1 exec /sabotaged \"$@\" ;;
esac
";

fn directory_in_memory() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    Ok(tempfile::Builder::new().prefix("firstroot-esp-").tempdir_in(place)?)
}

/// Modules that the kernel needs; it asks for two character sets by default.
const DRIVERS: [&str; 5] = ["vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "nls_utf8"];

/// The guest's files.
fn inside() -> Result<Vec<(String, Vec<u8>)>> {
    let [ours, sabotaged] = programs().context("the programs are not in the environment")?;
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let programs = [("ours", read(&ours)?), ("sabotaged", read(&sabotaged)?), ("run-on", RUN_ON.into())];
    let programs = programs.map(|(path, bytes)| (path.to_owned(), bytes)).into_iter();
    Ok(programs.chain(files().into_iter().map(|(path, bytes)| (format!("boot/{path}"), bytes))).collect())
}

fn record(guest: Guest) -> Result<TempDir> {
    let directory = directory_in_memory()?;
    for bits in [Bits::Sixteen, Bits::ThirtyTwo] {
        Disk::make(bits, &base(directory.path(), bits), directory.path())?;
    }
    let mut disks = Vec::new();
    for writer in WRITERS {
        let [image, log] = ["img", "log"].map(|kind| directory.path().join(format!("{}.{kind}", writer.disk)));
        fs::copy(base(directory.path(), writer.bits), &image).context("copying a disk")?;
        disks.push(LoggedDisk { name: writer.disk.to_owned(), image, log });
    }
    let begin = Instant::now();
    LoggedRun { guest, drivers: &DRIVERS, files: &inside()?, disks: &disks }.run()?;
    eprintln!("a guest of {guest} has written to {} disks; {:.1} s", disks.len(), begin.elapsed().as_secs_f64());
    Ok(directory)
}
