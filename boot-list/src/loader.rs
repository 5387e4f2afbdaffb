//! What differs between boot loaders.

pub mod links;

use ostree_sysroot::Roots;
use system::SystemError;

use crate::plan::BootPlan;

/// A boot loader's part in a transaction.
///
/// An error of [`BootLoader::write`] or [`BootLoader::swap`] means that the old list counts: [`BootLoader::take_back`] is called then.
/// After the swap nothing is an error any more.
pub trait BootLoader {
    /// Writes what is to count to names that nothing leads to yet.
    ///
    /// # Errors
    /// It cannot be written; part of it may be there.
    fn write(&self, roots: &Roots, plan: &BootPlan) -> Result<(), SystemError>;

    /// Makes what was written count, in one step that is done or not done. What was written is on the disk by then.
    ///
    /// # Errors
    /// The old list counts.
    fn swap(&self, roots: &Roots, plan: &BootPlan) -> Result<(), SystemError>;

    /// What is left to do once the new list is on the disk.
    fn follow(&self, roots: &Roots, plan: &BootPlan);

    /// Removes what [`BootLoader::write`] has written, so that on a full disk there is as much room as before. Returns what could not be
    /// removed, and why.
    fn take_back(&self, roots: &Roots, plan: &BootPlan) -> Vec<String>;
}
