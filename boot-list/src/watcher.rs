//! Who watches while a list is made to boot.

use ostree_sysroot::Roots;

/// Part of making a list boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Kernel and initramfs into `/boot`.
    Kernel,
    /// Boot links and boot loader entries.
    Entries,
    /// Writing out.
    Sync,
    /// The swap, and writing out again.
    Swap,
}

/// Tells a service manager, a file, or nobody.
pub trait Watcher {
    /// The next phase begins.
    fn enter(&mut self, phase: Phase);

    /// Something was done.
    fn step(&mut self);

    /// The new list counts. What says that it does not may go: it is written out with the swap, and never before it.
    fn swapped(&mut self, roots: &Roots);
}
