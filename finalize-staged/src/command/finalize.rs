//! A finalization, from the first step to the last.

use std::path::Path;
use std::time::Duration;

use boot_list::execute::room::Reserved;
use boot_list::execute::transaction::{self, Sources, Swapped};
use boot_list::execute::{cleanup, journal as boot_journal, xfs_directory};
use boot_list::loader::chosen;
use boot_list::plan::removals::Current;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::boot_contents::Beside;
use ostree_sysroot::{Roots, Sysroot};
use selinux_policy::Labels;

use crate::args::Timeouts;
use crate::checks::{log_nothing_to_do, refuse_conflicts, report_skipped, require_booted_and_root};
use crate::error::Error;
use crate::etc_merge::known::Known;
use crate::execute::failure_stamp::{self, Stamp};
use crate::execute::lock::lock;
use crate::execute::make_room::{MakeRoom, Ready};
use crate::execute::merge::merge;
use crate::execute::policy;
use crate::execute::watch::Watch;
use crate::execute::{attempts, esp, etc_before, finish_deployment, writable_roots};
use crate::finalization::{self, Finalization, Staging};
use crate::handover;
use crate::program::PROGRAM;
use crate::read::options::SysrootOptions;
use crate::read::run_directory::{ResumeRecord, RunDirectory, StagedNow};
use crate::resume::{self, Resume};
use crate::tell::journal;
use crate::tell::progress::{Phase, Progress};

/// Makes the staged deployment boot next, if there is one.
pub(crate) fn finalize(timeouts: Timeouts) -> Result<(), Error> {
    require_booted_and_root()?;
    let mut progress = Progress::begin();
    let Some(run) = RunDirectory::open(Path::new("/"))? else {
        log::info!("no deployment is staged: nothing to do");
        return Ok(());
    };
    if let Ok(found @ (StagedNow::Nothing | StagedNow::Empty | StagedNow::Locked)) = run.find() {
        if found == StagedNow::Nothing {
            // Leftovers of a run that was killed at its end.
            run.end()?;
        }
        log_nothing_to_do(&found);
        return Ok(());
    }
    let roots = writable_roots::open()?;
    finalize_in(&roots, &run, &mut progress, timeouts).inspect_err(|error| {
        failure_stamp::write_failure(&roots, &format!("{PROGRAM}: {error}"), &error.brief());
    })
}

fn finalize_in(roots: &Roots, run: &RunDirectory, progress: &mut Progress, timeouts: Timeouts) -> Result<(), Error> {
    let _lock = lock(roots, timeouts.lock, &|| progress.step())?;
    progress.enter(Phase::Plan);
    // The program that held the lock may have staged another deployment, or undeployed this one.
    let found = run.find()?;
    let (staged, used, record) = match found {
        StagedNow::Nothing | StagedNow::Empty | StagedNow::Locked => {
            log_nothing_to_do(&found);
            return Ok(());
        }
        StagedNow::Staged { state, used } => (state, used, None),
        StagedNow::Interrupted(state, record) => (state, true, Some(record)),
    };
    if roots.boot_is_fat()? {
        return Err(Error::BootOnFat);
    }
    let sysroot = match handover::sysroot_or_reason(roots)? {
        Ok(sysroot) => sysroot,
        Err(reason) => return Err(leave_to_ostree(roots, run, &staged, used, record.is_some(), reason)?),
    };
    sysroot.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    let is_interrupted = record.is_some();
    if let Some(record) = record {
        match resume::resume(roots, run, &sysroot, &staged, &record)? {
            Resume::Again => log::info!("an earlier run was interrupted: starting again"),
            Resume::Swapped => return resume::finish_interrupted(roots, run, &sysroot, &record, progress),
            Resume::Void => {
                log_nothing_to_do(&StagedNow::Nothing);
                return Ok(());
            }
        }
    }
    let used = Used { used, is_interrupted };
    Finalize { roots, run, staged: &staged, progress, grub_timeout: timeouts.grub }.run(sysroot, used)
}

/// Restores the staged deployment for `ostree`, and executes `ostree`. Returns only with an error.
fn leave_to_ostree(
    roots: &Roots,
    run: &RunDirectory,
    staged: &StagedState,
    used: bool,
    is_interrupted: bool,
    reason: String,
) -> Result<Error, Error> {
    // A failed run has merged part of /etc; `ostree` needs the staged one.
    if used && !is_interrupted {
        resume::is_undone(roots, run, &staged.target.deployment, false)?;
    }
    // `ostree` reads the announcement of the staged deployment, which an interrupted run has renamed.
    if is_interrupted {
        run.give_back()?;
    }
    Ok(handover::hand_over(reason))
}

/// The effect of an earlier run.
#[derive(Clone, Copy)]
struct Used {
    /// It has changed the deployment's `/etc`.
    used: bool,
    /// It was killed.
    is_interrupted: bool,
}

/// A run after all checks of whether there is something to finalize.
struct Finalize<'a> {
    roots: &'a Roots,
    run: &'a RunDirectory,
    staged: &'a StagedState,
    progress: &'a mut Progress,
    grub_timeout: Duration,
}

impl Finalize<'_> {
    fn run(mut self, sysroot: Sysroot, Used { used, is_interrupted }: Used) -> Result<(), Error> {
        let (roots, run) = (self.roots, self.run);
        let target = &self.staged.target.deployment;
        journal::finalizing(target);
        // Before the stamp is created in that directory.
        xfs_directory::keep_out_of_its_inode(roots);
        // Before the plan, so that the next boot reports it if this program is killed while it reads.
        let mut stamp = Stamp::write(roots, target, "planning");
        let used = used && !resume::is_undone(roots, run, target, is_interrupted)?;
        let options = SysrootOptions::of_environment();
        let beside = run.beside()?;
        // Only a help.
        let known = run.known_etc().inspect_err(|error| log::warn!("{error}")).unwrap_or_default();
        let known = Known::from_bytes(&known);
        let staging = Staging { staged: self.staged, used, options, beside: &beside, known: &known, lenient: false };
        let plan = finalization::plan(roots, &sysroot, &staging)?;
        plan.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        report_skipped(&plan);
        plan.boot.loader_warnings.iter().for_each(|warning| log::warn!("{warning}"));
        plan.boot.foreign.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        refuse_conflicts(&plan)?;
        stamp.update("merging /etc");
        let before: Vec<DeploymentPath> =
            sysroot.deployments.iter().map(|deployment| deployment.path.clone()).collect();
        let settings = esp::all_settings(roots)?;
        if let Some(listed) = plan.boot.list.first() {
            esp::refuse_rolled_back(roots, &listed.deployment, &settings)?;
        }
        let esp = Some(settings).filter(|settings| settings.enabled);
        if let Some(settings) = &esp {
            esp::check(roots, &sysroot, &plan, settings)?;
        }
        let making_room =
            MakeRoom { roots, staging, progress: self.progress, stamp: &mut stamp, grub_timeout: self.grub_timeout };
        let ready = making_room.make_room(sysroot, plan)?;
        if esp.is_none() {
            attempts::announce(roots, &ready.sysroot, &ready.plan.target);
        }
        let (swapped, remarks) = self.carry_out(&ready, &beside, &mut stamp)?;
        let Ready { sysroot, plan, .. } = ready;
        let boot = plan.boot;
        boot_journal::complete(&sysroot, &boot);
        let is_projected = match &esp {
            Some(settings) if swapped == Swapped::Durably => {
                esp::project(roots, settings, self.progress, &mut stamp, &remarks)
            }
            _ => true,
        };
        if esp.is_none() {
            attempts::keep_after_swap(roots);
        }
        self.progress.enter(Phase::Clean);
        if swapped == Swapped::Durably && is_projected {
            let current = Current::new(&sysroot, boot.bootversion, boot.subbootversion, boot.list);
            cleanup::clean(roots, &current, &before);
        }
        resume::forget(roots, run);
        log::info!("finalized /{target} in {}", self.progress.summary());
        Ok(())
    }

    /// Merges `/etc`, and swaps the new list in. After an error the deployment is still staged.
    /// Returns what the next boot shall report, too.
    fn carry_out(
        &mut self,
        ready: &Ready,
        beside: &Beside,
        stamp: &mut Stamp,
    ) -> Result<(Swapped, Vec<String>), Error> {
        let (roots, run) = (self.roots, self.run);
        let Ready { sysroot, plan, reserved } = ready;
        etc_before::save(roots, run, plan)
            .and_then(|()| run.begin(&ResumeRecord::of(sysroot, &plan.boot)))
            .inspect_err(|_| reserved.give_up(roots))?;
        let done = self.new_etc(plan).and_then(|(labels, remarks)| {
            finish_deployment::finish(roots, sysroot, &plan.target, &labels, self.progress)?;
            let mut watch = Watch::new(self.progress, stamp, &remarks);
            let loader = chosen::of(&plan.boot, self.grub_timeout);
            let sources = Sources { overlays: beside.overlays.as_ref(), labels: &labels };
            let swapped = transaction::run(roots, &*loader, sources, &plan.boot, &plan.files, &mut watch)?;
            watch.tell();
            labels.broken().iter().for_each(|line| log::warn!("SELinux policy: {line}"));
            drop(watch);
            Ok((swapped, remarks))
        });
        done.inspect_err(|_| self.begin_again_later(reserved))
    }

    /// Makes the new deployment's `/etc` with its policy. Returns the labels of that policy, and what the next boot shall report.
    fn new_etc(&mut self, plan: &Finalization) -> Result<(Labels, Vec<String>), Error> {
        merge(self.roots, plan, self.progress)?;
        let mut warnings = Vec::new();
        let progress = &mut *self.progress;
        policy::apply::apply(self.roots, plan, &mut warnings, &mut || progress.step())?;
        warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let labels = policy::labels(self.roots, plan)?;
        policy::apply::label(self.roots, plan, &labels);
        Ok((labels, warnings))
    }

    /// Restores the announcement, so that a second run starts again, and other programs see the staged deployment.
    fn begin_again_later(&self, reserved: &Reserved) {
        reserved.give_up(self.roots);
        if let Err(error) = self.run.give_back() {
            log::warn!("{error}");
        }
    }
}
