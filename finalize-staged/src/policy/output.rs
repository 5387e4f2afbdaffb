//! Runs a program whose output and time are limited, with everything that it starts.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: it was killed, because it took too long.
    pub(crate) status: Option<ExitStatus>,
    /// The end of what it wrote.
    pub(crate) output: String,
}

/// How much of the output is kept.
const KEPT: usize = 16 << 10;
/// How often `progress` is called.
const PERIOD: Duration = Duration::from_secs(1);

/// Runs `command` in a process group of its own, for `limit` at most.
pub(crate) fn run(mut command: Command, limit: Duration, progress: &mut dyn FnMut()) -> io::Result<Ended> {
    let end = Instant::now() + limit;
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = command.spawn()?;
    // It holds the other end of the pipe.
    drop(command);
    let mut output = Vec::new();
    let is_in_time = read_until(&reader, end, &mut output, progress);
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(group) = group.filter(|_| !matches!(is_in_time, Ok(true))) {
        // It may have ended just now.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait()?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok(Ended { status: is_in_time?.then_some(status), output })
}

/// Reads until every process has closed the pipe; `false`: not before `end`.
fn read_until(
    reader: &io::PipeReader,
    end: Instant,
    output: &mut Vec<u8>,
    progress: &mut dyn FnMut(),
) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let wait = Timespec::try_from(left.min(PERIOD)).map_err(io::Error::other)?;
        let mut ready = [PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN)];
        match poll(&mut ready, Some(&wait)) {
            Ok(0) => progress(),
            Ok(_) => {
                let count = rustix::io::retry_on_intr(|| rustix::io::read(reader, &mut buffer))?;
                if count == 0 {
                    return Ok(true);
                }
                output.extend_from_slice(buffer.get(..count).unwrap_or_default());
                if output.len() > 2 * KEPT {
                    output.drain(..output.len() - KEPT);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        run(command, limit, &mut || {}).unwrap()
    }

    #[test]
    fn the_end_of_the_output_and_the_status_are_known() {
        let ended = shell("echo out; echo err >&2; exit 3", Duration::from_secs(60));
        assert_eq!((ended.status.and_then(|status| status.code()), ended.output.as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn a_flood_is_cut() {
        let ended = shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end", Duration::from_secs(60));
        assert!(ended.output.len() <= 2 * KEPT + 4096 && ended.output.ends_with("end\n"), "{}", ended.output.len());
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let begin = Instant::now();
        let ended = shell("echo begun; sleep 1000 & sleep 1000", Duration::from_millis(200));
        assert!(ended.status.is_none() && ended.output == "begun\n", "{ended:?}");
        assert!(begin.elapsed() < Duration::from_secs(100));
    }
}
