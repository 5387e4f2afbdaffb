//! Which phase a run is in, how long each took, and that it goes on: the service manager gives it time as long as it does.
//!
//! A slow disk can take longer than the unit's limit for what is at stake. As long as something happens, the limit is extended
//! (`EXTEND_TIMEOUT_USEC`, sd_notify(3)); where nothing does, the limit holds. Something happens when this program has done a step,
//! has read from a disk or given something to be written, or waits for a disk (state `D` in proc_pid_stat(5)) while one of those
//! that the physical root and `/boot` are on is at work: `syncfs(2)` moves none of this program's own counters, since the kernel's
//! threads write. Other disks, and a program that waits for something else, are no progress: see [`super::disk_activity`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use system::notify::Manager;

use super::disk_activity::Sample;

/// How often the service manager hears of progress. Shorter than any sensible limit.
const TICK: Duration = Duration::from_secs(2);
/// How much longer it is asked to wait each time.
const EXTENSION: Duration = Duration::from_secs(60);

/// How long one step can take while the disks are at work: what waits for longer waits for what other programs write there.
const LONGEST_STEP: Duration = Duration::from_secs(30 * 60);

/// Part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waiting for the lock of the sysroot.
    Lock,
    /// Reading and planning.
    Plan,
    /// `/etc`.
    Merge,
    /// Kernel and initramfs into `/boot`.
    Kernel,
    /// Boot links and boot loader entries.
    Entries,
    /// Writing out.
    Sync,
    /// The swap, and writing out again.
    Swap,
    /// What is not needed any more.
    Clean,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Lock => "lock",
            Phase::Plan => "plan",
            Phase::Merge => "merge",
            Phase::Kernel => "kernel",
            Phase::Entries => "entries",
            Phase::Sync => "sync",
            Phase::Swap => "swap and sync",
            Phase::Clean => "clean",
        }
    }
}

/// The phases of a run.
#[derive(Debug)]
pub(crate) struct Progress {
    begin: Instant,
    current: (Phase, Instant),
    times: Vec<(Phase, Duration)>,
    steps: Arc<AtomicU64>,
    manager: Option<Manager>,
}

impl Progress {
    /// Begins, and tells the service manager from now on.
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        let steps = Arc::new(AtomicU64::new(0));
        if let Some(manager) = Manager::of_this_process() {
            let steps = Arc::clone(&steps);
            // It ends with the process.
            let spawned = std::thread::Builder::new().spawn(move || tick(&manager, &steps));
            if let Err(error) = spawned {
                log::warn!("cannot report progress to systemd: {error}");
            }
        }
        Self { begin: now, current: (Phase::Lock, now), times: Vec::new(), steps, manager: Manager::of_this_process() }
    }

    /// The next phase.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.end_phase();
        self.current.0 = phase;
        self.step();
        if let Some(manager) = &self.manager {
            manager.tell(&format!("STATUS=Finalizing: {}", phase.name()));
        }
    }

    /// Something was done.
    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The times of all phases, in one line.
    pub(crate) fn summary(&mut self) -> String {
        self.end_phase();
        // No floats: to format one takes several kilobytes of program.
        let milliseconds = |time: &Duration| format!("{}.{} ms", time.as_millis(), time.subsec_micros() / 100 % 10);
        let mut phases: Vec<(Phase, Duration)> = Vec::new();
        for (phase, time) in &self.times {
            match phases.iter_mut().find(|(known, _)| known == phase) {
                Some((_, sum)) => *sum += *time,
                None => phases.push((*phase, *time)),
            }
        }
        let phases: Vec<String> =
            phases.iter().map(|(phase, time)| format!("{} {}", phase.name(), milliseconds(time))).collect();
        format!("{}: {}", milliseconds(&self.begin.elapsed()), phases.join(", "))
    }

    fn end_phase(&mut self) {
        let now = Instant::now();
        let (phase, since) = self.current;
        self.times.push((phase, now - since));
        self.current.1 = now;
    }
}

fn tick(manager: &Manager, steps: &AtomicU64) {
    let mut last = Sample::take(steps.load(Ordering::Relaxed));
    let mut own = Instant::now();
    loop {
        std::thread::sleep(TICK);
        let now = Sample::take(steps.load(Ordering::Relaxed));
        if now.is_own_progress(&last) {
            own = Instant::now();
        }
        if now.is_progress(&last) && own.elapsed() < LONGEST_STEP {
            manager.tell(&format!("EXTEND_TIMEOUT_USEC={}", EXTENSION.as_micros()));
        }
        last = now;
    }
}
