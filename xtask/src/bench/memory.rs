//! Peak memory: what the kernel says of the process (`VmHWM` in proc_pid_status(5)) at its end.
//!
//! `getrusage(2)` would not do: a new process begins as a copy of the one that started it, whose memory stays in the figure
//! after exec.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::contestant::Contestant;
use super::stage::Stage;

/// Stops itself, and becomes the program when it is told to go on.
const STOPPED: [&str; 3] = ["sh", "-c", "kill -STOP $$; exec \"$0\" \"$@\""];

/// The command that calls [`measure`], where only the inside of a namespace sees the program.
pub(crate) const MEASURE: &str = "measure";

/// A program that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    /// In bytes.
    pub(crate) peak: f64,
    /// From exec to exit.
    pub(crate) time: Duration,
}

/// In bytes.
pub(crate) fn peak(stage: &Stage, contestant: Contestant) -> Result<f64> {
    let _journal = stage.start_over()?;
    let starter = [&["/peer/usr/bin/busybox"], STOPPED.as_slice()].concat();
    let measured = run(stage.command_after(&starter, contestant)?).with_context(|| format!("{contestant:?}"))?;
    Ok(measured.peak)
}

/// `OUTPUT PROGRAM ARGUMENT…`: runs a program, and writes its figures to a file.
pub(crate) fn measure(mut words: impl Iterator<Item = OsString>) -> Result<()> {
    let output = words.next().context("no file to write to")?;
    let [shell, rest @ ..] = STOPPED;
    let mut command = Command::new(shell);
    command.args(rest).args(words);
    run(command)?.write(&output)
}

impl Measured {
    fn write(self, path: &OsStr) -> Result<()> {
        let text = format!("{} {}", self.peak, self.time.as_secs_f64());
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// What [`measure`] wrote.
    pub(crate) fn read(path: &Path) -> Result<Measured> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let (peak, time) = text.split_once(' ').context("two numbers were expected")?;
        Ok(Measured { peak: peak.parse()?, time: Duration::from_secs_f64(time.parse()?) })
    }
}

/// Runs a command that begins with [`STOPPED`].
fn run(mut command: Command) -> Result<Measured> {
    let child = command.spawn().context("starting")?;
    let process = Pid::from_raw(child.id().try_into()?);
    waitpid(process, Some(WaitPidFlag::WUNTRACED)).context("waiting for the program to stop")?;
    let options = Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL;
    ptrace::seize(process, options).context("tracing")?;
    let begin = Instant::now();
    kill(process, Signal::SIGCONT)?;
    let mut peak = None;
    loop {
        match waitpid(process, None)? {
            WaitStatus::PtraceEvent(_, _, event) => {
                if event == Event::PTRACE_EVENT_EXIT as i32 {
                    peak = Some(high_water_mark(process)?);
                }
                ptrace::cont(process, None)?;
            }
            WaitStatus::Stopped(_, signal) => ptrace::cont(process, signal)?,
            WaitStatus::Exited(_, status) => {
                ensure!(status == 0, "ended with status {status}");
                return Ok(Measured {
                    peak: peak.context("the end of the program was not seen")?,
                    time: begin.elapsed(),
                });
            }
            other => bail!("{other:?}"),
        }
    }
}

fn high_water_mark(process: Pid) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: f64 = line.trim_end_matches("kB").trim().parse().context("VmHWM is no number")?;
    Ok(kibibytes * 1024.0)
}
