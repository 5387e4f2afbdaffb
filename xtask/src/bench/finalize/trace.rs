//! Times from a trace: how long a program took, and how much of it the disk.

use std::time::Duration;

use anyhow::{Context, Result};

/// Options of strace. The kernel stops the program only at these calls (`--seccomp-bpf`), and lets all others pass at full speed;
/// the last two are a new thread's first: until one of them it is stopped at every call.
pub(crate) const OPTIONS: &str = "-f -q --seccomp-bpf -ttt -T -e signal=none \
                                  -e trace=execve,exit_group,sync,syncfs,fsync,fdatasync,ioctl,set_robust_list,rseq";

/// Calls that end when the disk has what it was told.
const SYNC: [&str; 4] = ["sync", "syncfs", "fsync", "fdatasync"];

/// A finalization.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Times {
    /// From exec to exit.
    pub(crate) total: Duration,
    /// Inside sync, freeze and thaw.
    pub(crate) synced: Duration,
}

impl Times {
    /// What the program took itself.
    pub(crate) fn own(self) -> Duration {
        self.total.saturating_sub(self.synced)
    }
}

/// Of the first process in a trace that [`OPTIONS`] made.
pub(crate) fn times(trace: &str) -> Result<Times> {
    let mut lines = trace.lines().filter_map(Line::parse).peekable();
    let main = lines.peek().context("nothing was traced")?.process;
    let (mut begin, mut end, mut synced, mut freezes) = (None, None, 0.0, false);
    for line in lines.filter(|line| line.process == main) {
        if line.what.starts_with("execve(") {
            // The last one: before it this process was whatever looked for the program.
            begin = Some(line.at);
        } else if line.what.starts_with("+++ exited") {
            end = Some(line.at);
        }
        let name = line.what.strip_prefix("<... ").unwrap_or(line.what).split(['(', ' ']).next().unwrap_or_default();
        if line.what.starts_with("ioctl(") {
            freezes = ["FIFREEZE", "FITHAW"].iter().any(|request| line.what.contains(request));
        }
        if SYNC.contains(&name) || (name == "ioctl" && freezes) {
            synced += line.duration().unwrap_or_default();
        }
    }
    let (begin, end) = (begin.context("the trace has no beginning")?, end.context("the trace has no end")?);
    Ok(Times {
        total: Duration::try_from_secs_f64(end - begin).context("a negative time")?,
        synced: Duration::try_from_secs_f64(synced).context("a negative time")?,
    })
}

/// The number of calls in what `strace -c --summary-columns=calls,name` wrote.
pub(crate) fn calls(summary: &str) -> Result<f64> {
    let lines = summary.lines().filter_map(|line| line.trim().split_once(' '));
    let counts = lines.filter(|(_, name)| name.trim() != "total").filter_map(|(count, _)| count.parse::<u32>().ok());
    let sum: u32 = counts.sum();
    (sum > 0).then(|| f64::from(sum)).context("strace counted nothing")
}

struct Line<'a> {
    process: &'a str,
    at: f64,
    what: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Line<'a>> {
        let (process, rest) = line.split_once(' ')?;
        let (at, what) = rest.trim_start().split_once(' ')?;
        Some(Line { process, at: at.parse().ok()?, what })
    }

    /// None on the first half of a call that another process interrupts.
    fn duration(&self) -> Option<f64> {
        self.what.strip_suffix('>')?.rsplit_once('<')?.1.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_process_counts_and_only_waiting_for_the_disk() {
        let trace = "\
7 100.000000 execve(\"/usr/bin/ostree\", [\"ostree\"], 0x7 /* 3 vars */) = 0 <0.000300>
7 100.100000 ioctl(5, FICLONE, 6) = -1 EOPNOTSUPP (Operation not supported) <0.100000>
7 100.200000 syncfs(3)                 = 0 <0.250000>
7 100.500000 ioctl(4, FIFREEZE, 0 <unfinished ...>
8 100.600000 syncfs(3)                 = 0 <0.400000>
7 100.700000 <... ioctl resumed>)      = 0 <0.200000>
8 100.800000 +++ exited with 0 +++
7 101.000000 +++ exited with 0 +++
";
        let times = times(trace).unwrap();
        assert_eq!((times.total.as_millis(), times.synced.as_millis()), (1000, 450));
        assert_eq!(times.own().as_millis(), 550);
    }

    #[test]
    fn calls_are_added_up() {
        let summary =
            "    calls syscall\n--------- ----------------\n       12 openat\n        3 read\n       15 total\n";
        assert_eq!(calls(summary).unwrap(), 15.0);
        calls("nothing").unwrap_err();
    }
}
