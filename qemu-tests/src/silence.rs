//! When a machine that is on is given up: not by the clock, since a busy host makes it slow, but when it has stopped.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// So long a machine may say nothing and do nothing. systemd waits 90 s for a device, and that is no reason yet.
const IDLE: Duration = Duration::from_secs(120);
/// Less than one in so many seconds is what a machine takes of a processor that does nothing.
const IDLE_SHARE: u32 = 20;
/// So much time of processors a machine may take without a word, however busy the host is: a boot needs less than a hundred
/// seconds of it, and SELinux policies that are built in it several hundred on a slow host. A kernel that has panicked takes a processor.
const SPINNING: Duration = Duration::from_secs(900);
/// Whatever it says: no machine here is meant to run so long.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long a machine is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as it says or does something.
    WhileItLives,
    /// At most so long from its start.
    AtMost(Duration),
}

/// What was seen of a machine when it last said something.
#[derive(Debug)]
pub(crate) struct Silence {
    started: Instant,
    said: u64,
    since: Instant,
    used_then: Duration,
}

impl Silence {
    /// Of a machine that is being started.
    pub(crate) fn new() -> Silence {
        let now = Instant::now();
        Silence { started: now, said: 0, since: now, used_then: Duration::ZERO }
    }

    /// Looks at the process of a machine, and at its console; an error when it is time to give it up.
    pub(crate) fn look(&mut self, process: u32, console: &Path, patience: Patience) -> Result<()> {
        let on = self.started.elapsed();
        if let Patience::AtMost(limit) = patience {
            if on > limit {
                bail!("the machine was still running after {} s; its console: {}", limit.as_secs(), console.display());
            }
            return Ok(());
        }
        let said = fs::metadata(console).with_context(|| format!("looking at {}", console.display()))?.len();
        // A process that has just ended uses no more.
        let used = used(process).unwrap_or(self.used_then);
        if said != self.said {
            (self.said, self.since, self.used_then) = (said, Instant::now(), used);
        }
        match why_to_give_up(on, self.since.elapsed(), used.saturating_sub(self.used_then)) {
            Some(why) => bail!("{why}; the console of the machine: {}", console.display()),
            None => Ok(()),
        }
    }
}

/// `silent`: since it said something; `used`: time of processors since then.
fn why_to_give_up(on: Duration, silent: Duration, used: Duration) -> Option<String> {
    let (silent_s, used_s) = (silent.as_secs(), used.as_secs());
    if silent > IDLE && used * IDLE_SHARE < silent {
        Some(format!("the machine has said and done nothing for {silent_s} s"))
    } else if used > SPINNING {
        Some(format!("the machine has said nothing for {silent_s} s, in which it took {used_s} s of processors"))
    } else if on > LONGEST {
        Some(format!("the machine was still running after {} s", on.as_secs()))
    } else {
        None
    }
}

/// Time of processors that a process has taken, in user and system mode.
fn used(process: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may have anything in it, the first field is the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // A tick is a hundredth of a second for every program on Linux.
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_works_is_waited_for_however_slow_it_is() {
        let s = Duration::from_secs;
        // On a host that is so busy that it gets a tenth of a processor.
        assert_eq!(why_to_give_up(s(1200), s(1000), s(100)), None);
        assert_eq!(why_to_give_up(s(100), s(100), s(0)), None);
        assert_eq!(why_to_give_up(s(3000), s(1), s(0)), None);
    }

    #[test]
    fn one_that_has_stopped_is_given_up() {
        let s = Duration::from_secs;
        let why = |on, silent, used| why_to_give_up(s(on), s(silent), s(used)).unwrap();
        assert_eq!(why(200, 121, 3), "the machine has said and done nothing for 121 s");
        assert!(why(2000, 1000, 901).contains("took 901 s of processors"));
        assert!(why(3601, 1, 1).contains("still running after 3601 s"));
    }

    #[test]
    fn what_a_process_has_used_is_found() {
        assert!(used(std::process::id()).is_some());
        assert_eq!(used(u32::MAX), None);
    }
}
