//! The phases of a run, their times, and the progress that keeps the service manager from killing it.
//!
//! A slow disk can need longer than the unit's limit. While there is progress, this program asks the service manager for more time
//! (`EXTEND_TIMEOUT_USEC`, sd_notify(3)); without progress the limit holds. There is progress if this program has done a step, or
//! has read from or written to a disk, or if it waits for a disk (state `D` in proc_pid_stat(5)) while a disk of the physical root
//! or `/boot` is active. The disks are checked because during `syncfs(2)` the kernel's threads write, which changes none of this
//! program's counters. Other disks, and waiting for anything else, are not progress: see [`super::disk_activity`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use system::notify::Manager;

use super::disk_activity::Sample;

/// The time between two reports to the service manager. Shorter than any sensible limit.
const TICK: Duration = Duration::from_secs(2);
/// The additional time that each report asks for.
const EXTENSION: Duration = Duration::from_secs(60);

/// How long one step may wait for active disks. If it takes longer, other programs keep the disks busy.
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
    /// The first sync.
    Sync,
    /// The swap, and the second sync.
    Swap,
    /// The ESP.
    Esp,
    /// Removal of unused files.
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
            Phase::Esp => "ESP",
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
    /// Begins the first phase, and starts the reports to the service manager.
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

    /// Begins the next phase.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.end_phase();
        self.current.0 = phase;
        self.step();
        if let Some(manager) = &self.manager {
            manager.tell(&format!("STATUS=Finalizing: {}", phase.name()));
        }
    }

    /// A step is done.
    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The times of all phases, in one line.
    pub(crate) fn summary(&mut self) -> String {
        self.end_phase();
        // No floats: formatting them makes the program several kilobytes larger.
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
