//! Gets what the update puts into `/boot` in there: as it is, or after what nothing leads to has gone, or in two steps, of which the
//! first writes the list without what the update replaces, and removes its files.

use ostree_formats::bootlink::BootVersion;
use ostree_formats::staged_state::StagedState;

use crate::boot_plan::{self, Swap};
use crate::cleanup::{self, Current};
use crate::deployment_list::{self, Listed};
use crate::error::Error;
use crate::finalization::{self, Finalization};
use crate::progress::Progress;
use crate::room::{self, Reserved};
use crate::roots::Roots;
use crate::run::refuse_conflicts;
use crate::staged::RunOstree;
use crate::stamp::Stamp;
use crate::sysroot::Sysroot;
use crate::transaction::{self, Swapped};
use crate::{boot_files, durability, messages};

/// What all of it is done with.
pub(crate) struct MakeRoom<'a> {
    pub(crate) roots: &'a Roots,
    pub(crate) run: &'a RunOstree,
    pub(crate) staged: &'a StagedState,
    pub(crate) progress: &'a mut Progress,
    pub(crate) stamp: &'a mut Stamp,
}

/// Ready for the merge of `/etc` and the transaction.
pub(crate) struct Ready {
    pub(crate) sysroot: Sysroot,
    pub(crate) plan: Finalization,
    pub(crate) reserved: Reserved,
}

impl MakeRoom<'_> {
    /// Tries them in that order. Where `/boot` is on the physical root, installing is a hard link, and there is nothing to do.
    pub(crate) fn make_room(mut self, sysroot: Sysroot, mut plan: Finalization) -> Result<Ready, Error> {
        if !self.roots.boot_is_separate {
            return Ok(Ready { sysroot, plan, reserved: Reserved::default() });
        }
        self.stamp.update("installing the kernel");
        transaction::settle(self.roots, &plan.boot)?;
        let staying = deployment_list::without_what_goes(&plan.boot.list);
        if let Some(reserved) = self.reserve(&mut plan, &current(&sysroot, staying.clone()))? {
            return Ok(self.ready(sysroot, plan, reserved));
        }
        let count = room::count(self.roots, &plan, &current(&sysroot, staying.clone()))?;
        if !count.may_fit_after_removing() || room::is_told_not_to() {
            // libostree's words.
            log::warn!("Disabling auto-prune optimization; insufficient space left in bootfs");
            return Err(count.error(&plan));
        }
        let all = deployment_list::current(&sysroot);
        let going = room::names(&all, &staying);
        let now = current(&sysroot, all);
        if room::count(self.roots, &plan, &now)?.freed > 0 {
            log::info!("/boot is nearly full: removing what nothing leads to");
            cleanup::clean_boot(self.roots, &now);
            // XFS frees in the background what was removed; to freeze it is to wait for that.
            durability::boot(self.roots)?;
            if let Some(reserved) = self.reserve(&mut plan, &now)? {
                return Ok(self.ready(sysroot, plan, reserved));
            }
        }
        if going.is_empty() {
            return Err(room::count(self.roots, &plan, &now)?.error(&plan));
        }
        self.in_two_steps(sysroot, plan, staying, &going)
    }

    /// Nothing: it does not fit, and what `plan` says of `/boot` is up to date.
    fn reserve(&mut self, plan: &mut Finalization, keeping: &Current) -> Result<Option<Reserved>, Error> {
        if !room::count(self.roots, plan, keeping)?.may_fit() {
            return Ok(None);
        }
        match room::reserve(self.roots, self.run, plan, self.progress) {
            Ok(reserved) => return Ok(Some(reserved)),
            Err(error) if room::is_full(&error) => log::info!("{error}"),
            Err(error) => return Err(error.into()),
        }
        durability::boot(self.roots)?;
        plan.files = boot_files::survey(self.roots, Some(self.run), &plan.boot)?;
        Ok(None)
    }

    fn ready(&mut self, sysroot: Sysroot, plan: Finalization, reserved: Reserved) -> Ready {
        self.stamp.update("merging /etc");
        Ready { sysroot, plan, reserved }
    }

    fn in_two_steps(
        mut self,
        sysroot: Sysroot,
        plan: Finalization,
        staying: Vec<Listed>,
        going: &[String],
    ) -> Result<Ready, Error> {
        // libostree's words, by which others find it in the journal.
        log::info!("Insufficient space left in bootfs; updating bootloader in two steps");
        log::info!("/boot is nearly full: removing {} first, which this update replaces", going.join(", "));
        let smaller = boot_plan::plan(&sysroot, staying);
        let mut stamp = Stamp::write(self.roots, &plan.target, "making room in /boot");
        let nothing = boot_files::BootFiles::default();
        let swapped = transaction::run(self.roots, Some(self.run), &smaller, &nothing, self.progress, &mut stamp);
        let swapped = match swapped {
            Err(error) if room::is_full(&error) => {
                log::info!("{error}");
                let now = current(&sysroot, deployment_list::current(&sysroot));
                return Err(room::count(self.roots, &plan, &now)?.error(&plan));
            }
            other => other?,
        };
        messages::complete(&sysroot, &smaller);
        *self.stamp = Stamp::write(self.roots, &plan.target, "installing the kernel");
        // Only there: the staged deployment is in no list yet, and must not be taken for one that nobody needs.
        let done = sysroot.current(smaller.bootversion, smaller.subbootversion, smaller.list);
        if swapped == Swapped::NotYetDurably {
            // Going on would write over what the disk may still call the old list.
            durability::everything(self.roots)?;
        }
        cleanup::clean_boot(self.roots, &done);
        // XFS frees in the background what was removed; to freeze it is to wait for that.
        durability::boot(self.roots)?;
        let sysroot = Sysroot::load(self.roots)?;
        let mut plan = finalization::plan(self.roots, Some(self.run), &sysroot, self.staged, plan.reset_etc, false)?;
        refuse_conflicts(&plan)?;
        if plan.boot.swap == Swap::Loader {
            // The number that libostree comes to, which does not clean up in between.
            plan.boot.subbootversion = BootVersion::Zero;
        }
        let now = current(&sysroot, deployment_list::current(&sysroot));
        match self.reserve(&mut plan, &now)? {
            Some(reserved) => Ok(self.ready(sysroot, plan, reserved)),
            None => Err(room::count(self.roots, &plan, &now)?.error(&plan)),
        }
    }
}

/// What is current with another list of the current bootversion.
fn current(sysroot: &Sysroot, list: Vec<Listed>) -> Current {
    sysroot.current(sysroot.bootversion, sysroot.subbootversion, list)
}
