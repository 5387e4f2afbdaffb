//! The phases of a command, and how long each has taken.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Runs phases one after the other.
#[derive(Debug)]
pub(crate) struct Phases {
    begin: Instant,
    taken: Vec<(&'static str, Duration)>,
}

/// What was done beside phases, on another thread.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    name: &'static str,
    result: Result<T>,
    time: Duration,
}

/// Does `work` and takes its time.
pub(crate) fn timed<T>(name: &'static str, work: impl FnOnce() -> Result<T>) -> Taken<T> {
    let begin = Instant::now();
    let result = work().with_context(|| format!("failed: {name}"));
    Taken { name, result, time: begin.elapsed() }
}

impl Phases {
    /// Nothing has been done yet.
    pub(crate) fn begin() -> Phases {
        Phases { begin: Instant::now(), taken: Vec::new() }
    }

    /// One phase.
    pub(crate) fn run<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n==> {name}");
        self.beside(timed(name, work))
    }

    /// Notes what is done already.
    pub(crate) fn beside<T>(&mut self, taken: Taken<T>) -> Result<T> {
        let result = taken.result?;
        println!("    {}: {:.1} s", taken.name, taken.time.as_secs_f64());
        self.taken.push((taken.name, taken.time));
        Ok(result)
    }

    /// The closing lines.
    pub(crate) fn print(&self) {
        println!("\n{:>8}  phase", "seconds");
        for (name, time) in &self.taken {
            println!("{:8.1}  {name}", time.as_secs_f64());
        }
        println!("\nall phases passed in {} s", self.begin.elapsed().as_secs());
    }
}
