//! Reports a transaction's phases to the service manager, and writes them into the stamp in `/boot`.

use boot_list::watcher::{self, Watcher};
use ostree_sysroot::Roots;

use super::failure_stamp::Stamp;
use crate::tell::progress::{Phase, Progress};

/// The two receivers.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a mut Progress,
    pub(crate) stamp: &'a mut Stamp,
}

impl Watcher for Watch<'_> {
    fn enter(&mut self, phase: watcher::Phase) {
        let (phase, text) = match phase {
            watcher::Phase::Kernel => (Phase::Kernel, Some("installing the kernel")),
            watcher::Phase::Entries => (Phase::Entries, Some("writing boot loader entries")),
            watcher::Phase::Sync => (Phase::Sync, Some("writing everything to the disk")),
            watcher::Phase::Swap => (Phase::Swap, None),
        };
        self.progress.enter(phase);
        if let Some(text) = text {
            self.stamp.update(text);
        }
    }

    fn step(&mut self) {
        self.progress.step();
    }

    fn swapped(&mut self, roots: &Roots) {
        self.stamp.remove(roots);
    }
}
