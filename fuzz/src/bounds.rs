//! What a parser may take of time and memory for an input.

use std::fmt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::memory;
use crate::targets::Target;

/// For each byte: one second for 256 KiB, ten times what the slowest takes on a machine that does nothing else: where two processors are
/// one, a busy neighbour doubles the time of this thread. A parser whose time is quadratic needs several times as much.
const TIME_PER_BYTE: Duration = Duration::from_nanos(3814);
/// For an input of any size. A clock that ticks is not exact, and a thread that was away finds its caches cold.
const TIME_AT_LEAST: Duration = Duration::from_millis(20);
/// How often a run that took too long is repeated.
const REPEATED: usize = 4;
/// For each byte. A field of an entry may be one byte, and takes two strings.
const MEMORY_PER_BYTE: usize = 80;
/// For an input of any size.
const MEMORY_AT_LEAST: usize = 64 << 10;

/// What one input took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Of the processor, in this thread: other programs do not count.
    pub time: Duration,
    /// Bytes held at once.
    pub memory: usize,
}

/// More than a parser may take.
#[derive(Debug)]
pub struct TooMuch {
    target: &'static str,
    bytes: usize,
    taken: Taken,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, bytes, taken: Taken { time, memory } } = self;
        write!(f, "{target}: {time:?} and {memory} bytes of memory for {bytes} bytes")
    }
}

/// Runs that are measured.
pub trait Bounded {
    /// Runs, and returns what that took.
    ///
    /// # Errors
    /// Of more time or memory than the input allows.
    fn run_bounded(&self, bytes: &[u8]) -> Result<Taken, TooMuch>;
}

impl Bounded for Target {
    fn run_bounded(&self, bytes: &[u8]) -> Result<Taken, TooMuch> {
        let mut taken = run_once(self, bytes);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let time = TIME_AT_LEAST + TIME_PER_BYTE * size;
        // On a busy machine a run can take half as much again, also of the processor. The fastest one says what the input takes.
        for _ in 0..REPEATED {
            if taken.time > time {
                taken.time = taken.time.min(run_once(self, bytes).time);
            }
        }
        if taken.time <= time && taken.memory <= MEMORY_AT_LEAST + MEMORY_PER_BYTE * bytes.len() {
            Ok(taken)
        } else {
            Err(TooMuch { target: self.name, bytes: bytes.len(), taken })
        }
    }
}

fn run_once(target: &Target, bytes: &[u8]) -> Taken {
    let begin = time_of_thread();
    let memory = memory::peak(|| (target.run)(bytes));
    Taken { time: time_of_thread().saturating_sub(begin), memory }
}

fn time_of_thread() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from).unwrap_or_default()
}
