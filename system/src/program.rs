//! Runs another program to its end, with a limit of time and of output. Nothing that it has started outlives it.
//!
//! `std::process::Command` starts programs, too, and adds 40 KB.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process_group, waitpid};

use crate::dir;

/// A program with its arguments and its environment. It has nothing to read.
#[derive(Debug)]
pub struct Program {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// How a program ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub end: End,
    /// The end of what it wrote, to standard output and standard error.
    pub output: Vec<u8>,
    /// It wrote more than that.
    pub is_shortened: bool,
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

impl std::fmt::Display for End {
    /// What follows after "ended".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "with exit status {status}"),
            Self::Signal(signal) => write!(f, "by signal {signal}"),
            Self::TooLong => f.write_str("because it took too long"),
        }
    }
}

/// The exit status of a child that could not execute the program, as in shells.
const NOT_EXECUTED: u8 = 127;
/// How much of the output is kept, in bytes.
const KEPT: usize = 8 << 10;
/// How often `progress` is called.
const PERIOD: Duration = Duration::from_secs(1);
/// How long killed processes may take to end. One that waits for a broken disk never does.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

impl Program {
    /// `words` are the path and the arguments, `environment` is all of it (`NAME=VALUE`).
    ///
    /// # Errors
    /// `EINVAL` if one of them contains a zero, or if there is no path.
    pub fn new(words: &[&[u8]], environment: &[&[u8]]) -> Result<Self, Errno> {
        let strings = |list: &[&[u8]]| list.iter().map(|word| CString::new(*word)).collect::<Result<Vec<_>, _>>();
        match (strings(words), strings(environment)) {
            (Ok(arguments), Ok(environment)) if !arguments.is_empty() => Ok(Self { arguments, environment }),
            _ => Err(Errno::INVAL),
        }
    }

    /// Runs it in a process group of its own, for `limit` at most. At its end, or when its time is over, all of its descendants are
    /// killed. `progress` is called once a second.
    ///
    /// # Errors
    /// It cannot be started or watched. If it cannot be executed, it ends with the status 127 and says so.
    pub fn run(&self, limit: Duration, progress: &mut dyn FnMut()) -> Result<Ended, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // The program gets an end that blocks: it need not know that this one does not.
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty())?;
        // Descendants whose parents have ended become children of this process, which can find and kill them.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let ended = self.start(Some(writer.as_fd())).and_then(|child| {
            drop(writer);
            let mut output = Output { kept: Vec::new(), is_shortened: false };
            let is_in_time = watch(child, &reader, Instant::now() + limit, &mut output, progress);
            // It may have ended already, and the group with it.
            let _ = kill_process_group(child, Signal::KILL);
            let end = wait(child)?;
            output.read(&reader)?;
            let end = if is_in_time? { end } else { End::TooLong };
            Ok(Ended { end, output: output.kept, is_shortened: output.is_shortened })
        });
        kill_descendants();
        rustix::process::set_child_subreaper(None)?;
        ended
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
        let path = arguments.first().copied().ok_or(Errno::INVAL)?;
        // SAFETY: the child calls nothing but system calls, none of which allocates or takes a lock of this process, and leaves by
        // execve(2) or _exit(2); so it does not matter which threads there are. The pointers are C strings of `self`, and both lists
        // end in a null pointer.
        unsafe {
            match libc::fork() {
                -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN)),
                0 => {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
                    libc::dup2(null, 0);
                    if let Some(output) = output {
                        libc::setpgid(0, 0);
                        libc::dup2(output.as_raw_fd(), 1);
                        libc::dup2(output.as_raw_fd(), 2);
                    }
                    libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                    libc::execve(path, arguments.as_ptr(), environment.as_ptr());
                    let words = c"it cannot be executed\n";
                    libc::write(2, words.as_ptr().cast(), words.count_bytes());
                    libc::_exit(NOT_EXECUTED.into())
                }
                child => {
                    if output.is_some() {
                        // Both processes do it, so that it is done when either goes on. An error means that the child has executed.
                        libc::setpgid(child, child);
                    }
                    Pid::from_raw(child).ok_or(Errno::CHILD)
                }
            }
        }
    }
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

/// Reads what the program writes until it ends. Returns whether it ended in time.
fn watch(
    child: Pid,
    reader: &OwnedFd,
    end: Instant,
    output: &mut Output,
    progress: &mut dyn FnMut(),
) -> Result<bool, Errno> {
    let process = rustix::process::pidfd_open(child, PidfdFlags::empty())?;
    let mut is_open = true;
    loop {
        let left = end.saturating_duration_since(Instant::now()).min(PERIOD);
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) as _ };
        let mut waited = [PollFd::new(&process, PollFlags::IN), PollFd::new(reader, PollFlags::IN)];
        let waited = if is_open { &mut waited[..] } else { waited.split_at_mut(1).0 };
        match poll(waited, Some(&timeout)) {
            Ok(0) => progress(),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
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
    fn read(&mut self, reader: impl AsFd) -> Result<bool, Errno> {
        let mut piece = [0; 4096];
        for _ in 0..64 {
            match rustix::io::read(&reader, &mut piece) {
                Ok(0) => return Ok(false),
                Ok(count) => self.kept.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(error),
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
    while begin.elapsed() < LAST_MOMENTS {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(child, Signal::KILL);
            let _ = waitpid(Some(child), WaitOptions::NOHANG);
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
