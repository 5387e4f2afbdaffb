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

/// Why a boot loader shows its old menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuIsOld {
    /// The reason.
    pub reason: String,
    /// The command that writes the new menu.
    pub command: String,
}

/// Receives the progress of a transaction.
pub trait Watcher {
    /// The next phase begins.
    fn enter(&mut self, phase: Phase);

    /// A step is done.
    fn step(&mut self);

    /// The boot loader's menu will be the old one although the new list is active, for this reason. It is called before the swap.
    fn menu_is_old(&mut self, why: &MenuIsOld);

    /// The menu is the new one now, and on the disk.
    fn menu_is_new(&mut self, roots: &Roots);

    /// The new list is active. The failure stamp can be removed: its removal reaches the disk with the swap, never before it.
    fn swapped(&mut self, roots: &Roots);
}
