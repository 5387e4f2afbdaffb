//! Reports a transaction's phases to the service manager, and writes them into the stamp in `/boot`.

use boot_list::watcher::{self, MenuIsOld, Watcher};
use ostree_sysroot::Roots;

use super::failure_stamp::{MENU_IS_OLD, Stamp};
use crate::tell::progress::{Phase, Progress};

/// The two receivers.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a mut Progress,
    pub(crate) stamp: &'a mut Stamp,
    menu: Option<MenuIsOld>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(progress: &'a mut Progress, stamp: &'a mut Stamp) -> Self {
        Self { progress, stamp, menu: None }
    }

    /// Tells that the boot loader shows its old menu, if it does.
    pub(crate) fn tell(&self) {
        if let Some(MenuIsOld { reason, command }) = &self.menu {
            log::warn!("{MENU_IS_OLD}: {reason}; to write the new one: `{command}`");
        }
    }
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
        match &self.menu {
            Some(why) => self.stamp.menu_is_old(roots, why),
            None => self.stamp.remove(roots),
        }
    }

    fn menu_is_old(&mut self, why: &MenuIsOld) {
        self.menu = Some(why.clone());
    }

    fn menu_is_new(&mut self, roots: &Roots) {
        self.menu = None;
        self.stamp.remove(roots);
    }
}
