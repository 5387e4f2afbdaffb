//! Peak memory: what the kernel says of the process (`VmHWM` in proc_pid_status(5)) at its end.
//!
//! `getrusage(2)` would not do: a new process begins as a copy of the one that started it, whose memory stays in the figure
//! after exec.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::contestant::Contestant;
use super::stage::Stage;

/// Stops itself, and becomes the program when it is told to go on.
const STOPPED: [&str; 4] = ["/peer/usr/bin/busybox", "sh", "-c", "kill -STOP $$; exec \"$0\" \"$@\""];

/// In bytes.
pub(crate) fn peak(stage: &Stage, contestant: Contestant) -> Result<f64> {
    let _journal = stage.start_over()?;
    let child =
        stage.command_after(&STOPPED, contestant)?.spawn().with_context(|| format!("starting {contestant:?}"))?;
    let process = Pid::from_raw(child.id().try_into()?);
    waitpid(process, Some(WaitPidFlag::WUNTRACED)).context("waiting for the program to stop")?;
    let options = Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL;
    ptrace::seize(process, options).context("tracing")?;
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
                ensure!(status == 0, "{contestant:?} ended with status {status}");
                return peak.context("the end of the program was not seen");
            }
            other => bail!("{contestant:?}: {other:?}"),
        }
    }
}

fn high_water_mark(process: Pid) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: f64 = line.trim_end_matches("kB").trim().parse().context("VmHWM is no number")?;
    Ok(kibibytes * 1024.0)
}
