//! Puts the update's files into `/boot`: directly, or after removing unused files, or in two steps. The first of the two steps
//! writes the list without the replaced deployments, and removes their files.

use std::time::Duration;

use boot_list::execute::room::{self, Count, Reserved};
use boot_list::execute::transaction::{self, Sources, Swapped};
use boot_list::execute::{cleanup, durability, journal};
use boot_list::loader::chosen;
use boot_list::plan::list::{self, ListedDeployment};
use boot_list::plan::removals::Current;
use boot_list::plan::swap::Swap;
use ostree_sysroot::boot_contents::BootFiles;
use ostree_sysroot::{Roots, Sysroot};

use super::failure_stamp::Stamp;
use super::watch::Watch;
use crate::checks::refuse_conflicts;
use crate::error::Error;
use crate::execute::policy;
use crate::finalization::{self, Finalization, Staging};
use crate::tell::progress::Progress;

/// The parts of the run that it needs.
pub(crate) struct MakeRoom<'a> {
    pub(crate) roots: &'a Roots,
    pub(crate) staging: Staging<'a>,
    pub(crate) progress: &'a mut Progress,
    pub(crate) stamp: &'a mut Stamp,
    pub(crate) grub_timeout: Duration,
}

/// Ready for the merge of `/etc` and the transaction.
pub(crate) struct Ready {
    pub(crate) sysroot: Sysroot,
    pub(crate) plan: Finalization,
    pub(crate) reserved: Reserved,
}

impl MakeRoom<'_> {
    /// Tries the three ways in that order. If `/boot` is on the physical root, installing makes hard links, and needs no room.
    pub(crate) fn make_room(mut self, sysroot: Sysroot, mut plan: Finalization) -> Result<Ready, Error> {
        if !self.roots.boot_is_separate {
            return Ok(Ready { sysroot, plan, reserved: Reserved::default() });
        }
        self.stamp.update("installing the kernel");
        transaction::settle(self.roots, &plan.boot)?;
        let staying = list::without_what_goes(&plan.boot.list);
        if let Some(reserved) = self.reserve(&mut plan, &Current::with(&sysroot, staying.clone()))? {
            return Ok(self.ready(sysroot, plan, reserved));
        }
        let count = room::count(self.roots, &plan.files, &Current::with(&sysroot, staying.clone()))?;
        if !count.may_fit_after_removing() || self.staging.options.no_early_prune {
            // libostree's words.
            log::warn!("Disabling auto-prune optimization; insufficient space left in bootfs");
            return Err(does_not_fit(count, &plan));
        }
        let all = list::current(&sysroot);
        let going = names(&all, &staying);
        let now = Current::with(&sysroot, all);
        if room::count(self.roots, &plan.files, &now)?.freed > 0 {
            log::info!("/boot is nearly full: removing files that no entry names");
            cleanup::clean_boot(self.roots, &now);
            // XFS frees removed files in the background; freezing waits for that.
            durability::boot(self.roots)?;
            if let Some(reserved) = self.reserve(&mut plan, &now)? {
                return Ok(self.ready(sysroot, plan, reserved));
            }
        }
        if going.is_empty() {
            return Err(does_not_fit(room::count(self.roots, &plan.files, &now)?, &plan));
        }
        self.in_two_steps(sysroot, plan, staying, &going)
    }

    /// Puts the files into `/boot`. Returns `None` if they do not fit; then `plan` has the current state of `/boot`.
    fn reserve(&mut self, plan: &mut Finalization, keeping: &Current) -> Result<Option<Reserved>, Error> {
        if !room::count(self.roots, &plan.files, keeping)?.may_fit() {
            return Ok(None);
        }
        let mut watch = Watch::new(self.progress, self.stamp, &[]);
        match room::reserve(self.roots, self.staging.beside.overlays.as_ref(), &plan.boot, &mut plan.files, &mut watch)
        {
            Ok(reserved) => return Ok(Some(reserved)),
            Err(error) if room::is_full(&error) => log::info!("{error}"),
            Err(error) => return Err(error.into()),
        }
        durability::boot(self.roots)?;
        plan.files = self.staging.survey(self.roots, &plan.boot)?;
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
        staying: Vec<ListedDeployment>,
        going: &[String],
    ) -> Result<Ready, Error> {
        // libostree's words: other programs look for them in the journal.
        log::info!("Insufficient space left in bootfs; updating bootloader in two steps");
        log::info!("/boot is nearly full: removing {} first, which this update replaces", going.join(", "));
        let smaller = finalization::boot_plan(self.roots, &sysroot, &self.staging, staying)?;
        let mut stamp = Stamp::write(self.roots, &plan.target, "making room in /boot");
        let mut watch = Watch::new(self.progress, &mut stamp, &[]);
        let loader = chosen::of(&smaller, self.grub_timeout);
        let labels = policy::labels(self.roots, &plan)?;
        let sources = Sources { overlays: None, labels: &labels };
        let swapped = transaction::run(self.roots, &*loader, sources, &smaller, &BootFiles::default(), &mut watch);
        let swapped = match swapped {
            Err(error) if room::is_full(&error) => {
                log::info!("{error}");
                let now = Current::with(&sysroot, list::current(&sysroot));
                return Err(does_not_fit(room::count(self.roots, &plan.files, &now)?, &plan));
            }
            other => other?,
        };
        journal::complete(&sysroot, &smaller);
        *self.stamp = Stamp::write(self.roots, &plan.target, "installing the kernel");
        // Only in `/boot`: the staged deployment is in no list yet, and would be removed as unused.
        let done = Current::new(&sysroot, smaller.bootversion, smaller.subbootversion, smaller.list);
        if swapped == Swapped::NotYetDurably {
            // The next write overwrites files of the old list, which may still be active on the disk.
            durability::everything(self.roots)?;
        }
        cleanup::clean_boot(self.roots, &done);
        // XFS frees removed files in the background; freezing waits for that.
        durability::boot(self.roots)?;
        let sysroot = Sysroot::load(self.roots)?;
        self.staging.used = plan.reset_etc;
        let mut plan = finalization::plan(self.roots, &sysroot, &self.staging)?;
        refuse_conflicts(&plan)?;
        if plan.boot.swap == Swap::Loader {
            plan.boot.count_subbootversion_from_zero();
        }
        let now = Current::with(&sysroot, list::current(&sysroot));
        match self.reserve(&mut plan, &now)? {
            Some(reserved) => Ok(self.ready(sysroot, plan, reserved)),
            None => Err(does_not_fit(room::count(self.roots, &plan.files, &now)?, &plan)),
        }
    }
}

/// The error that the update does not fit.
pub(crate) fn does_not_fit(count: Count, plan: &Finalization) -> Error {
    Error::BootFull { needed: count.needed, available: count.free, freed: count.freed, deployment: plan.target.clone() }
}

/// The paths of the deployments that are removed first.
fn names(going: &[ListedDeployment], staying: &[ListedDeployment]) -> Vec<String> {
    let stays = |path| staying.iter().any(|listed| listed.deployment.path == path);
    going
        .iter()
        .map(|listed| listed.deployment.path.clone())
        .filter(|path| !stays(path.clone()))
        .map(|path| format!("/{path}"))
        .collect()
}
