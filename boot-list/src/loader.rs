//! What differs between boot loaders.

pub mod ask;
pub mod chosen;
pub mod grub;
pub mod links;
pub mod older_menu;

use ostree_sysroot::Roots;
use system::SystemError;

use crate::plan::BootPlan;
use crate::watcher::MenuIsOld;

/// A boot loader's part in a transaction.
///
/// After an error of [`BootLoader::write`] or [`BootLoader::swap`] the old list is still active, and [`BootLoader::take_back`] is
/// called. After the swap every failure is a warning.
pub trait BootLoader {
    /// Writes the new list under names that nothing leads to yet. A menu that could not be written is no error: the old menu stays
    /// whole, and the list boots. `progress` is called now and then while it waits for another program.
    ///
    /// # Errors
    /// It cannot be written; part of it may exist.
    fn write(
        &self,
        roots: &Roots,
        plan: &BootPlan,
        progress: &mut dyn FnMut(),
    ) -> Result<Option<MenuIsOld>, SystemError>;

    /// Activates the new list in one step, which happens completely or not at all. Everything written is on the disk before.
    ///
    /// # Errors
    /// The old list is still active.
    fn swap(&self, roots: &Roots, plan: &BootPlan) -> Result<(), SystemError>;

    /// Does the rest, after the new list is on the disk. Returns whether a menu that was
    /// old after [`BootLoader::write`] is the new one now.
    fn follow(&self, roots: &Roots, plan: &BootPlan) -> bool;

    /// Removes the files of [`BootLoader::write`], so that a full disk has as much room as before. Returns the files that could not
    /// be removed, with the reasons.
    fn take_back(&self, roots: &Roots, plan: &BootPlan) -> Vec<String>;
}
