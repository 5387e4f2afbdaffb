//! Machines side by side.
//!
//! Where every instruction is emulated, a machine with two processors has one of them idle for a third of its boot. Two machines with
//! one processor each leave less idle: on a host with two, two boots take 21 s side by side, and 30 s one after the other. A machine
//! that waits for a time limit, or goes down, needs nearly nothing, so that there is one more than the host has processors.

use std::sync::atomic::{AtomicUsize, Ordering};

/// More processors than two bring a machine nothing.
const MOST: usize = 2;
/// More machines than three need more memory than many a host has.
const MOST_MACHINES: usize = 3;

static MACHINES: AtomicUsize = AtomicUsize::new(1);

/// How many machines this host runs best at the same time.
pub fn how_many() -> usize {
    (processors() + 1).min(MOST_MACHINES)
}

/// From now on so many run at the same time.
pub fn expect(machines: usize) {
    MACHINES.store(machines.max(1), Ordering::Relaxed);
}

/// How many processors each of them has.
pub(crate) fn cpus_of_one() -> usize {
    (processors() / MACHINES.load(Ordering::Relaxed)).clamp(1, MOST)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
