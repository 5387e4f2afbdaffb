//! Reports a transaction's phases to the service manager, and writes them into the stamp in `/boot`.

use boot_list::watcher::{self, MenuIsOld, Watcher};
use ostree_sysroot::Roots;

use super::failure_stamp::{FINALIZED_BUT, MENU_IS_OLD, Stamp};
use crate::tell::progress::{Phase, Progress};

/// The two receivers.
pub(crate) struct Watch<'a> {
    pub(crate) progress: &'a mut Progress,
    pub(crate) stamp: &'a mut Stamp,
    /// What the next boot shall report, beside an old menu.
    remarks: &'a [String],
    menu: Option<MenuIsOld>,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(progress: &'a mut Progress, stamp: &'a mut Stamp, remarks: &'a [String]) -> Self {
        Self { progress, stamp, remarks, menu: None }
    }

    fn remark_about_menu(&self) -> Option<String> {
        let MenuIsOld { reason, command } = self.menu.as_ref()?;
        Some(format!("{MENU_IS_OLD}: {reason}; to write the new one: `{command}`"))
    }

    /// Tells that the boot loader shows its old menu, if it does.
    pub(crate) fn tell(&self) {
        if let Some(remark) = self.remark_about_menu() {
            log::warn!("{FINALIZED_BUT}{remark}");
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
        let remarks: Vec<String> = self.remark_about_menu().into_iter().chain(self.remarks.iter().cloned()).collect();
        self.stamp.swapped(roots, &remarks);
    }

    fn menu_is_old(&mut self, why: &MenuIsOld) {
        self.menu = Some(why.clone());
    }

    fn menu_is_new(&mut self, roots: &Roots) {
        self.menu = None;
        self.stamp.swapped(roots, self.remarks);
    }
}
