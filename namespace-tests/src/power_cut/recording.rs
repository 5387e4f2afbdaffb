//! A finalization, or a run of another program, on a logged disk: how the disk was before, and what was done to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::command::run;

use super::layout::Layout;
use super::log::{Log, Operation};
use super::recorder::{Marks, Recorder, mark, write_mark};
use super::scratch::clone;
use crate::finalize::{Contestant, Finalized, Machine};

const BASE: &str = "base.img";
const LOG: &str = "log";
/// Where the booted system has the machine's directory.
const IN_THE_SYSTEM: &str = "/run/fixture/machine";

/// Shell commands that mark in the log where a program begins and ends.
#[derive(Debug)]
pub struct BeginAndEnd {
    /// In the booted system.
    pub begin: String,
    /// In the booted system.
    pub end: String,
    /// On the machine that runs the tests.
    pub begin_here: String,
    /// On the machine that runs the tests.
    pub end_here: String,
}

/// It is in a directory of its own.
#[derive(Debug)]
pub struct Recording {
    directory: PathBuf,
    pub(super) layout: Layout,
    pub(super) log: Log,
    /// How many operations there were when the program was started.
    pub(super) begin: usize,
    /// How many there were when it had ended.
    pub(super) end: usize,
}

impl Recording {
    /// Has `machine` finalize on a logged disk; the recording is in `directory` (which is in a [`super::Scratch`]).
    pub fn of(machine: Machine, contestant: Contestant, directory: &Path) -> Result<(Recording, Finalized)> {
        Recording::while_running(machine, directory, |machine, marks| {
            machine.finalize_between(contestant, &marks.begin, &marks.end)
        })
    }

    /// The same of whatever `run` does with the machine. It executes the marks before and after it.
    pub fn while_running<T>(
        mut machine: Machine,
        directory: &Path,
        run: impl FnOnce(&Machine, &BeginAndEnd) -> Result<T>,
    ) -> Result<(Recording, T)> {
        let layout = Layout::of(&machine)?;
        let (base, image) = (directory.join(BASE), directory.join("disk.img"));
        layout.assemble(&machine, &base)?;
        drop(clone(&base, &image)?);
        let recorder = Recorder::start(&image, directory)?;
        let result = {
            let marks = Marks::of(recorder.disk(), layout.marks())?;
            for text in ["begin", "end"] {
                write_mark(machine.directory(), text)?;
            }
            let mut volumes = layout.volumes(recorder.disk()).into_iter();
            machine.move_to(volumes.next().context("no physical root")?, volumes.next());
            let here = machine.directory().to_path_buf();
            let [begin, end] = ["begin", "end"].map(|text| marks.command(Path::new(IN_THE_SYSTEM), text));
            let [begin_here, end_here] = ["begin", "end"].map(|text| marks.command(&here, text));
            run(&machine, &BeginAndEnd { begin, end, begin_here, end_here })?
        };
        recorder.stop()?;
        Ok((Recording::read(directory, layout)?, result))
    }

    /// One that was kept; `machine` has the same story.
    pub fn kept(machine: &Machine, kept: &Path, directory: &Path) -> Result<Recording> {
        copy(kept, directory)?;
        Recording::read(directory, Layout::of(machine)?)
    }

    /// Keeps it for another day.
    pub fn keep(&self, directory: &Path) -> Result<()> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        copy(&self.directory, directory)
    }

    fn read(directory: &Path, layout: Layout) -> Result<Recording> {
        let log = Log::read(&directory.join(LOG))?;
        let position = |text: &str| {
            let is_it = |operation: &Operation| match operation {
                Operation::Write { offset, data } => *offset == layout.marks() && log.data(data) == mark(text),
                _ => false,
            };
            log.operations.iter().position(is_it).with_context(|| format!("no mark {text} in the log"))
        };
        let (begin, end) = (position("begin")? + 1, position("end")? + 1);
        Ok(Recording { directory: directory.to_path_buf(), layout, log, begin, end })
    }

    /// The disk before.
    pub(super) fn base(&self) -> PathBuf {
        self.directory.join(BASE)
    }

    /// How many writes there were between start and end of the program.
    pub fn writes(&self) -> usize {
        let operations = self.log.operations.get(self.begin..self.end).unwrap_or_default();
        operations.iter().filter(|operation| **operation != Operation::Flush).count()
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for name in [BASE, LOG] {
        run(Command::new("cp").args(["--sparse=always"]).arg(from.join(name)).arg(to))?;
    }
    Ok(())
}
