//! A program, and then the end of all that it has started.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, kill_process_group, pidfd_open, set_child_subreaper,
    waitpid,
};

use super::{End, Ended, KEPT, PERIOD, Program, wait};
use crate::dir;

/// How long killed processes may take to end. One that waits for a broken disk never does.
const END: Duration = Duration::from_secs(2);
/// How often the rest of an output is read, when the program has ended: another process may go on writing.
const RESTS: usize = 64;

impl Program {
    /// Runs it for `limit` at most. When it has ended, or is killed, all of its descendants are killed, in whatever process groups they
    /// are; nobody waits for them. `progress` is called once a second. This process must have no other children.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_and_kill_descendants(&self, limit: Duration, progress: &mut dyn FnMut()) -> Result<Ended, Errno> {
        let end = super::end_of(limit);
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Descendants whose parents have ended become children of this process, which can find and kill them.
        set_child_subreaper(Some(getpid()))?;
        let ended = self.start(Some(writer.as_fd())).and_then(|child| {
            let mut output = Vec::new();
            let is_in_time = watch(child, &reader, end, &mut output, progress);
            // It may have ended already, and the group with it.
            let _ = kill_process_group(child, Signal::KILL);
            let status = wait(child)?;
            Ok(Ended { end: if is_in_time? { status } else { End::TooLong }, output })
        });
        kill_descendants();
        set_child_subreaper(None)?;
        ended
    }
}

/// Reads what the program writes until it ends. Returns whether it ended in time.
fn watch(
    child: Pid,
    reader: &OwnedFd,
    end: Instant,
    output: &mut Vec<u8>,
    progress: &mut dyn FnMut(),
) -> Result<bool, Errno> {
    let process = pidfd_open(child, PidfdFlags::empty())?;
    let mut told = Instant::now();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        if told.elapsed() >= PERIOD {
            told = Instant::now();
            progress();
        }
        let (has_ended, has_written) = ready(&process, reader, left.min(PERIOD))?;
        if has_written {
            read(reader, output)?;
        }
        if has_ended {
            for _ in 0..RESTS {
                let (_, has_written) = ready(&process, reader, Duration::ZERO)?;
                if !has_written || read(reader, output)? == 0 {
                    break;
                }
            }
            return Ok(true);
        }
    }
}

/// Waits until the process has ended or there is something to read: whether each is so.
fn ready(process: &OwnedFd, reader: &OwnedFd, limit: Duration) -> Result<(bool, bool), Errno> {
    let limit = Timespec::try_from(limit).map_err(|_| Errno::INVAL)?;
    let mut both = [PollFd::new(process, PollFlags::IN), PollFd::new(reader, PollFlags::IN)];
    match poll(&mut both, Some(&limit)) {
        Err(Errno::INTR) => return Ok((false, false)),
        other => other?,
    };
    let [process, reader] = both.map(|fd| !fd.revents().is_empty());
    Ok((process, reader))
}

fn read(reader: &OwnedFd, output: &mut Vec<u8>) -> Result<usize, Errno> {
    let mut buffer = [0; 4096];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(reader, &mut buffer))?;
    output.extend_from_slice(buffer.get(..count).unwrap_or_default());
    if output.len() > 2 * KEPT {
        output.drain(..output.len() - KEPT);
    }
    Ok(count)
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
            let _ = kill_process(child, Signal::KILL);
            let _ = waitpid(Some(child), WaitOptions::NOHANG);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    log::warn!("a process that was killed does not end");
}

/// The children of this process, by what `/proc` shows of all processes.
fn children() -> Vec<Pid> {
    const LIMIT: u64 = 1 << 16;
    let own = getpid().as_raw_nonzero().to_string();
    let Ok(proc) = dir::open_root(Path::new("/proc")) else { return Vec::new() };
    // Numbers of another PID namespace would be those of other processes.
    if dir::read_link(&proc, "self").as_deref() != Ok(own.as_str()) {
        return Vec::new();
    }
    let parent = format!(" {own} ");
    let is_child = |pid: &&String| {
        let stat = dir::read(&proc, format!("{pid}/stat"), LIMIT).unwrap_or_default();
        // After the name of the program, which may be anything, in parentheses: ` STATE PARENT `.
        let end = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        stat.get(end + 3..).is_some_and(|after| after.starts_with(parent.as_bytes()))
    };
    let names = dir::names(&proc, ".").unwrap_or_default();
    let processes = names.iter().filter(|name| name.starts_with(|first: char| first.is_ascii_digit()));
    processes.filter(is_child).filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
