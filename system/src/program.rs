//! Runs another program to its end, with a limit of time. Nothing that it has started outlives it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use crate::dir;

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: it was killed when its time was over.
    pub status: Option<ExitStatus>,
    /// The end of what it wrote to standard output and standard error.
    pub output: Vec<u8>,
    /// It wrote more than that.
    pub is_shortened: bool,
}

/// How much of the output is kept.
const KEPT: usize = 8 << 10;
/// How long killed processes may take to end. One that waits for a broken disk never does.
const END: Duration = Duration::from_secs(2);

/// Runs `command` with nothing on its standard input. At its end, or when `limit` is over, all of its descendants are killed.
///
/// # Errors
/// It cannot be started or watched.
pub fn run(mut command: Command, limit: Duration) -> io::Result<Ended> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // The program gets an end that blocks: it need not know that this one does not.
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty())?;
    command.stdin(Stdio::null()).stdout(Stdio::from(writer.try_clone()?)).stderr(Stdio::from(writer)).process_group(0);
    let die_with_this_process = || Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: between fork and exec the closure makes one system call, prctl(2), and neither allocates nor takes a lock.
    unsafe { command.pre_exec(die_with_this_process) };
    // Descendants whose parents have ended become children of this process, which can find and kill them.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let ended = command.spawn().and_then(|mut child| {
        // With the command go its ends of the pipe.
        drop(command);
        let pid = Pid::from_child(&child);
        let mut output = Output { kept: Vec::new(), is_shortened: false };
        let in_time = watch(pid, &reader, Instant::now() + limit, &mut output);
        // It may have ended already, and the group with it.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        let status = child.wait()?;
        output.read(&reader)?;
        Ok(Ended { status: in_time?.then_some(status), output: output.kept, is_shortened: output.is_shortened })
    });
    kill_descendants();
    rustix::process::set_child_subreaper(None)?;
    ended
}

/// Reads what the program writes until it ends. Returns whether it ended in time.
fn watch(pid: Pid, reader: &OwnedFd, end: Instant, output: &mut Output) -> io::Result<bool> {
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let mut is_open = true;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) as _ };
        let mut waited = [PollFd::new(&process, PollFlags::IN), PollFd::new(reader, PollFlags::IN)];
        let waited = if is_open { &mut waited[..] } else { waited.split_at_mut(1).0 };
        match poll(waited, Some(&timeout)) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let is_ready = |at: usize| waited.get(at).is_some_and(|fd| !fd.revents().is_empty());
        let (has_ended, has_written) = (is_ready(0), is_ready(1));
        if has_written {
            is_open = output.read(reader)?;
        }
        if has_ended {
            return Ok(true);
        }
    }
}

/// The end of an output.
struct Output {
    kept: Vec<u8>,
    is_shortened: bool,
}

impl Output {
    /// Reads what is there now, and not for ever. Returns whether more may come.
    fn read(&mut self, reader: impl AsFd) -> io::Result<bool> {
        let mut piece = [0; 4096];
        for _ in 0..64 {
            match rustix::io::read(&reader, &mut piece) {
                Ok(0) => return Ok(false),
                Ok(count) => self.kept.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
            if let Some(more) = self.kept.len().checked_sub(KEPT).filter(|more| *more > 0) {
                self.kept.drain(..more);
                self.is_shortened = true;
            }
        }
        Ok(true)
    }
}

/// Kills the children of this process until there are none: each may leave others behind.
fn kill_descendants() {
    let begin = Instant::now();
    while begin.elapsed() < END {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), WaitOptions::NOHANG);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    log::warn!("a process that was killed does not end");
}

/// The children of this process, by what `/proc` shows of all processes.
fn children() -> Vec<Pid> {
    const LIMIT: u64 = 1 << 16;
    let own = format!(" {} ", rustix::process::getpid().as_raw_nonzero());
    let Ok(proc) = dir::open_root(Path::new("/proc")) else { return Vec::new() };
    let is_child = |pid: &String| {
        let stat = dir::read(&proc, format!("{pid}/stat"), LIMIT).unwrap_or_default();
        // After the name of the program, which may be anything, in parentheses: ` STATE PARENT `.
        let end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        stat.get(end + 3..).is_some_and(|after| after.starts_with(own.as_bytes()))
    };
    let names = dir::names(&proc, ".").unwrap_or_default();
    let children = names
        .iter()
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .filter(|name| is_child(name));
    children.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
