//! Machines side by side.
//!
//! Where every instruction is emulated, a machine with two processors has one of them idle for a third of its boot. Two machines with
//! one processor each leave none idle: on a host with two, two boots take 21 s side by side, and 30 s one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};

/// More processors than two bring a machine nothing.
const MOST: usize = 2;

static MACHINES: AtomicUsize = AtomicUsize::new(1);

/// How many machines this host runs best at the same time.
pub fn how_many() -> usize {
    processors().clamp(1, MOST)
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
