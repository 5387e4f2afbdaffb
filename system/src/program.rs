//! Runs another program, whose time and output are limited, with everything that it starts.
//!
//! `std::process::Command` does this, too, and adds 40 KB.

mod descendants;

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process_group, waitpid};

/// A program with its arguments and its environment. It reads nothing.
#[derive(Debug)]
pub struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// The end of what it wrote, to standard output and standard error.
    pub output: Vec<u8>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Status(u8),
    /// By a signal.
    Signal(i32),
    /// It took too long, and was killed.
    TooLong,
}

/// The exit status of a child that could not execute the program, as in shells.
const NOT_EXECUTED: u8 = 127;
/// How much of the output is kept, in bytes.
const KEPT: usize = 16 << 10;
/// How often `progress` is called.
const PERIOD: Duration = Duration::from_secs(1);

impl Program {
    /// `words` are the path and the arguments, `environment` is all of it (`NAME=VALUE`).
    ///
    /// # Errors
    /// `EINVAL` if one of them contains a zero.
    pub fn new(words: &[&[u8]], environment: &[&[u8]]) -> Result<Self, Errno> {
        let strings = |list: &[&[u8]]| list.iter().map(|word| CString::new(*word)).collect::<Result<Vec<_>, _>>();
        let (words, environment) = (strings(words), strings(environment));
        let (Ok(arguments), Ok(environment)) = (words, environment) else { return Err(Errno::INVAL) };
        let path = arguments.first().cloned().ok_or(Errno::INVAL)?;
        Ok(Self { path, arguments, environment })
    }

    /// Runs it in a process group of its own, for `limit` at most; then all of the group is killed. `progress` is called once a
    /// second.
    ///
    /// # Errors
    /// As `fork(2)` and `pipe(2)`. If the program cannot be executed, it ends with the status 127 and says why.
    pub fn run(&self, limit: Duration, progress: &mut dyn FnMut()) -> Result<Ended, Errno> {
        let end = end_of(limit);
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let child = self.start(Some(writer.as_fd()))?;
        // The program has the other end, and so has everything that it starts.
        drop(writer);
        let mut output = Vec::new();
        let is_in_time = read_until(&reader, end, &mut output, progress);
        if !matches!(is_in_time, Ok(true)) {
            // It may have ended just now.
            let _ = kill_process_group(child, Signal::KILL);
        }
        let status = wait(child)?;
        let end = if is_in_time? { status } else { End::TooLong };
        Ok(Ended { end, output })
    }

    /// Runs it with the output and in the process group of this process, for as long as it takes.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_in_this_group(&self) -> Result<End, Errno> {
        wait(self.start(None)?)
    }

    /// Starts it; with an `output`, in a process group of its own.
    fn start(&self, output: Option<BorrowedFd<'_>>) -> Result<Pid, Errno> {
        let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
            list.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect()
        };
        // Made before the fork: the child must not allocate.
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // SAFETY: the child calls nothing but system calls, none of which allocates or takes a lock of this process, and leaves by
        // execve(2) or _exit(2); so it does not matter which threads there are. The pointers are C strings of `self`, and both lists
        // end in a null pointer.
        unsafe {
            match libc::fork() {
                -1 => Err(last_error()),
                0 => {
                    let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
                    libc::dup2(null, 0);
                    // Nobody waits for it any more if this process is killed.
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    if let Some(output) = output {
                        libc::setpgid(0, 0);
                        libc::dup2(output.as_raw_fd(), 1);
                        libc::dup2(output.as_raw_fd(), 2);
                    }
                    libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                    libc::execve(self.path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
                    let words = c"it cannot be executed\n";
                    libc::write(2, words.as_ptr().cast(), words.count_bytes());
                    libc::_exit(NOT_EXECUTED.into())
                }
                child => {
                    // Both processes do it, so that it is done when either goes on. An error means that the child has executed.
                    if output.is_some() {
                        libc::setpgid(child, child);
                    }
                    Pid::from_raw(child).ok_or(Errno::CHILD)
                }
            }
        }
    }
}

/// When `limit` is over. No program runs for longer than a day.
fn end_of(limit: Duration) -> Instant {
    Instant::now() + limit.min(Duration::from_secs(24 * 60 * 60))
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)
}

fn wait(child: Pid) -> Result<End, Errno> {
    let status: WaitStatus = loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => break status,
            Ok(None) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    };
    Ok(match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => End::Status(u8::try_from(status).unwrap_or(u8::MAX)),
        (None, signal) => End::Signal(signal.unwrap_or_default()),
    })
}

/// Reads until every process has closed the pipe; `false`: not before `end`.
fn read_until(reader: &OwnedFd, end: Instant, output: &mut Vec<u8>, progress: &mut dyn FnMut()) -> Result<bool, Errno> {
    let mut buffer = [0; 4096];
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
        let wait = Timespec::try_from(left.min(PERIOD)).map_err(|_| Errno::INVAL)?;
        let mut ready = [PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN)];
        match poll(&mut ready, Some(&wait)) {
            Ok(0) => {}
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
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        let program = Program::new(&[b"/bin/sh", b"-c", script.as_bytes()], &[b"PATH=/usr/bin:/bin", b"WORD=x y"]);
        program.unwrap().run(limit, &mut || {}).unwrap()
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_end_of_the_output_and_the_status_are_known() {
        let ended = shell("echo out; echo $WORD >&2; exit 3", MINUTE);
        assert_eq!((ended.end, ended.output.as_slice()), (End::Status(3), &b"out\nx y\n"[..]));
        assert_eq!(shell("kill -9 $$", MINUTE).end, End::Signal(9));
        let missing = Program::new(&[b"/nowhere"], &[]).unwrap().run(MINUTE, &mut || {}).unwrap();
        assert_eq!(missing, Ended { end: End::Status(127), output: b"it cannot be executed\n".to_vec() });
        assert_eq!(Program::new(&[b"/bin/a\0b"], &[]).err(), Some(Errno::INVAL));
    }

    #[test]
    fn a_flood_is_cut() {
        let ended = shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end", MINUTE);
        assert!(ended.output.len() <= 2 * KEPT + 4096 && ended.output.ends_with(b"end\n"), "{}", ended.output.len());
    }

    #[test]
    fn what_hangs_is_killed_with_its_children() {
        let begin = Instant::now();
        let ended = shell("echo begun; sleep 1000 & sleep 1000", Duration::from_millis(300));
        assert_eq!(ended, Ended { end: End::TooLong, output: b"begun\n".to_vec() });
        assert!(begin.elapsed() < MINUTE);
    }
}
