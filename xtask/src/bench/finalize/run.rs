//! One finalization, on a fresh copy of a disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Finalized, Machine};
use qemu_tests::cache::directory_of_this_checkout;
use qemu_tests::guest::Guest;
use qemu_tests::host;

use super::system::System;
use super::trace::{self, Times};
use crate::bench::MEASURE;
use crate::bench::disk::{Disk, Memory};
use crate::bench::memory::Measured;
use crate::workspace::run;

/// Whose program, and what ran before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entrant {
    /// Whose.
    pub(crate) contestant: Contestant,
    /// `--prepare` has run, as it does when an update is staged.
    pub(crate) prepared: bool,
}

/// The staged system as it is before each run.
pub(crate) struct Bed {
    changed: u32,
    staged: Machine,
    prepared: Option<Machine>,
    /// Where copies are run: on a disk.
    place: PathBuf,
}

/// The programs that are run are read, and so is what they will read, unless it is to be cold.
const LOAD_PROGRAMS: &str = "ostree --version >/dev/null\n/usr/lib/firstroot/ostree-finalize-staged --version >/dev/null\n\
                             /run/fixture/tools/strace -V >/dev/null\n";
const READ_DISK: &str = "find /sysroot/ostree /boot -xdev -type f ! -name '*.file' -exec cat {} + >/dev/null\n";

impl Bed {
    /// Builds the disk, or finds it.
    pub(crate) fn make(system: &System, guest: Guest, finalizer: &Path, with_prepared: bool) -> Result<Bed> {
        let staged = system.story.staged(guest)?.copy()?.with_binary(finalizer);
        // The test bed's journal of 4 MB is one that no such disk has: it would be full in the middle of a merge.
        journal_of(&staged.root_image(), "32")?;
        if staged.boot_image().exists() {
            journal_of(&staged.boot_image(), "16")?;
        }
        let prepared = if with_prepared {
            let machine = staged.another()?;
            machine.check("/usr/lib/firstroot/ostree-finalize-staged --prepare")?;
            Some(machine)
        } else {
            None
        };
        Ok(Bed { changed: system.changed, staged, prepared, place: directory_of_this_checkout("runs")? })
    }

    /// Times of a run under a strace that stops it only where it waits for the disk.
    pub(crate) fn times(&self, entrant: Entrant, memory: Memory) -> Result<Times> {
        let strace = format!("/run/fixture/tools/strace {} -o /run/fixture/machine/trace", trace::OPTIONS);
        let machine = self.finalized(entrant, memory, &strace)?;
        trace::times(&read(&machine, "trace")?)
    }

    /// Peak memory, and the time of a run in which nothing is traced.
    pub(crate) fn measured(&self, entrant: Entrant) -> Result<Measured> {
        let starter = format!(
            "l=$(echo /run/fixture/host/usr/lib/*-linux-gnu)\n\
             set -- \"$l\"/ld-linux-*.so.* --library-path \"$l\" /run/fixture/machine/xtask {MEASURE} \
             /run/fixture/machine/measured \"$@\"\n"
        );
        let machine = self.run(entrant, Memory::Warm, &starter, "")?;
        Measured::read(&machine.directory().join("measured"))
    }

    /// How many system calls are made, those of child processes included.
    pub(crate) fn calls(&self, entrant: Entrant) -> Result<f64> {
        let strace = "/run/fixture/tools/strace -f -c --summary-columns=calls,name -o /run/fixture/machine/calls";
        trace::calls(&read(&self.finalized(entrant, Memory::Warm, strace)?, "calls")?)
    }

    fn finalized(&self, entrant: Entrant, memory: Memory, starter: &str) -> Result<Machine> {
        self.run(entrant, memory, "", starter)
    }

    /// A machine after finalization. `script` runs before it, and can change the command in `$@`; `starter` runs it.
    fn run(&self, entrant: Entrant, memory: Memory, script: &str, starter: &str) -> Result<Machine> {
        let before = match &self.prepared {
            Some(prepared) if entrant.prepared => prepared,
            _ => &self.staged,
        };
        let mut machine = before.another_in(&self.place)?;
        let own = std::env::current_exe().context("this program")?;
        let link = machine.directory().join("xtask");
        fs::hard_link(&own, &link).or_else(|_| fs::copy(&own, &link).map(drop)).context("copying this program")?;
        let read = if memory == Memory::Warm { READ_DISK } else { "" };
        fs::write(machine.directory().join("before.sh"), format!("{LOAD_PROGRAMS}{read}{script}exec \"$@\"\n"))
            .context("writing what runs before")?;
        let root = Disk::of(&machine.root_image(), memory)?;
        let boot = machine.boot_image();
        let boot = if boot.exists() { Some(Disk::of(&boot, memory)?) } else { None };
        machine.move_to(root.volume(), boot.as_ref().map(Disk::volume));
        let starter = format!("sh /run/fixture/machine/before.sh {starter}");
        let finalized = machine.finalize_under(entrant.contestant, &starter)?;
        self.check(&finalized).with_context(|| format!("{entrant:?}"))?;
        Ok(machine)
    }

    /// Figures of programs that do different things are not comparable.
    fn check(&self, finalized: &Finalized) -> Result<()> {
        finalized.outcome.success()?;
        let told = |field: &str| finalized.journal.iter().find_map(|message| message.get(field)).map(String::as_str);
        let changed = self.changed.to_string();
        for (field, expected) in [("ETC_N_MODIFIED", changed.as_str()), ("OSTREE_DID_BOOTSWAP", "yes")] {
            ensure!(told(field) == Some(expected), "{field} is {:?}, and should be {expected}", told(field));
        }
        Ok(())
    }
}

fn journal_of(image: &Path, megabytes: &str) -> Result<()> {
    for options in [vec!["-O", "^has_journal"], vec!["-J", &format!("size={megabytes}")]] {
        run(Command::new("tune2fs")
            .args(options)
            .arg(image)
            .env("PATH", host::PATH)
            .stdout(std::process::Stdio::null()))?;
    }
    Ok(())
}

fn read(machine: &Machine, name: &str) -> Result<String> {
    fs::read_to_string(machine.directory().join(name)).with_context(|| format!("reading {name}"))
}
