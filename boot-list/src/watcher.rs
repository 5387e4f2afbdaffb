//! Progress of a transaction, for the caller.

use ostree_sysroot::Roots;

/// A phase of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Kernel and initramfs into `/boot`.
    Kernel,
    /// Boot links and boot loader entries.
    Entries,
    /// The first sync.
    Sync,
    /// The swap, and the second sync.
    Swap,
}

/// Receives the progress of a transaction.
pub trait Watcher {
    /// The next phase begins.
    fn enter(&mut self, phase: Phase);

    /// A step is done.
    fn step(&mut self);

    /// The new list is active. The failure stamp can be removed: its removal reaches the disk with the swap, never before it.
    fn swapped(&mut self, roots: &Roots);
}
