//! The story of a finalization, from top to bottom.

use std::time::{Duration, Instant};

use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedState;
use rustix::fs::OFlags;
use system::lock::{Lock, Lockable};
use system::{Context, SystemError, dir, tree};

use crate::cleanup;
use crate::deployment;
use crate::deployment_list;
use crate::error::{Error, SHOWN_CONFLICTS};
use crate::etc_merge::execute;
use crate::finalization::{self, Finalization};
use crate::make_room::{MakeRoom, Ready};
use crate::progress::{Phase, Progress};
use crate::roots::Roots;
use crate::staged::{self, Circumstances, Found, RunOstree};
use crate::stamp::{self, Stamp};
use crate::sysroot::{self, Sysroot};
use crate::transaction::{self, Swapped};
use crate::{durability, etc_before, handover, messages, seal, xfs_directory};

/// How often somebody who has the lock is asked again.
const PATIENCE: Duration = Duration::from_millis(50);

/// Makes the staged deployment bootable, if there is one.
pub(crate) fn finalize(lock_timeout: Duration) -> Result<(), Error> {
    require_booted_and_root()?;
    let mut progress = Progress::begin();
    let Some(run) = RunOstree::open()? else {
        log::info!("no deployment is staged: nothing to do");
        return Ok(());
    };
    if let Ok(found @ (Found::Nothing | Found::Empty | Found::Locked)) = run.find() {
        if found == Found::Nothing {
            // What a run that was killed while it forgot has left.
            run.end()?;
        }
        say_why_not(&found);
        return Ok(());
    }
    let roots = Roots::open_writable()?;
    finalize_in(&roots, &run, &mut progress, lock_timeout).inspect_err(|error| {
        stamp::write_failure(&roots, &format!("{}: {error}", crate::PROGRAM));
    })
}

/// What all that changes something begins with.
pub(crate) fn require_booted_and_root() -> Result<(), Error> {
    if !sysroot::is_booted()? {
        return Err(Error::NotBooted);
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    Ok(())
}

pub(crate) fn say_why_not(found: &Found) {
    match found {
        // libostree's words, which others look for.
        Found::Locked => log::info!("Not finalizing; deployment is locked for finalization"),
        Found::Empty => log::warn!("{} is empty, so no deployment is staged: nothing to do", staged::STAGED),
        _ => log::info!("no deployment is staged: nothing to do"),
    }
}

fn finalize_in(roots: &Roots, run: &RunOstree, progress: &mut Progress, lock_timeout: Duration) -> Result<(), Error> {
    let _lock = lock(roots, lock_timeout, &|| progress.step())?;
    progress.enter(Phase::Plan);
    // Whoever had the lock may have staged another one, or undeployed this one.
    let found = run.find()?;
    let (staged, used, circumstances) = match found {
        Found::Nothing | Found::Empty | Found::Locked => {
            say_why_not(&found);
            return Ok(());
        }
        Found::Staged { state, used } => (state, used, None),
        Found::Interrupted(state, circumstances) => (state, true, Some(circumstances)),
    };
    if roots.boot_is_fat()? {
        return Err(Error::BootOnFat);
    }
    let sysroot = match handover::sysroot_or_reason(roots, &staged.target.deployment)? {
        Ok(sysroot) => sysroot,
        Err(reason) => {
            // A run that failed has merged part of /etc; `ostree` begins with what was staged.
            if used && circumstances.is_none() {
                is_undone(roots, run, &staged.target.deployment, false)?;
            }
            // `ostree` looks for the staged deployment where it was announced. Another one may have been staged since.
            if circumstances.is_some() {
                run.give_back()?;
            }
            return Err(handover::hand_over(reason));
        }
    };
    for warning in &sysroot.warnings {
        log::warn!("{warning}");
    }
    let is_interrupted = circumstances.is_some();
    if let Some(circumstances) = circumstances {
        match resume(roots, run, &sysroot, &staged, &circumstances)? {
            Resume::Again => log::info!("an earlier run was interrupted: beginning again"),
            Resume::Swapped => return finish_interrupted(roots, run, &sysroot, &circumstances, progress),
            Resume::Void => {
                say_why_not(&Found::Nothing);
                return Ok(());
            }
        }
    }
    let target = &staged.target.deployment;
    messages::finalizing(target);
    // Before the name of the stamp comes into that directory.
    xfs_directory::keep_out_of_its_inode(roots);
    // Before the plan: whatever ends this program while it reads, the next boot reports it.
    let mut stamp = Stamp::write(roots, target, "planning");
    let used = used && !is_undone(roots, run, target, is_interrupted)?;
    let plan = finalization::plan(roots, Some(run), &sysroot, &staged, used, false)?;
    report_skipped(&plan);
    plan.boot.foreign.warnings.iter().for_each(|warning| log::warn!("{warning}"));
    refuse_conflicts(&plan)?;
    stamp.update("merging /etc");
    let before: Vec<DeploymentPath> = sysroot.deployments.iter().map(|deployment| deployment.path.clone()).collect();
    let making_room = MakeRoom { roots, run, staged: &staged, progress, stamp: &mut stamp };
    let Ready { sysroot, plan, reserved } = making_room.make_room(sysroot, plan)?;
    etc_before::save(roots, run, &plan)
        .and_then(|()| run.begin(&circumstances_of(&sysroot, &plan)))
        .inspect_err(|_| reserved.give_up(roots))?;
    let done = merge(roots, &plan, progress)
        .and_then(|()| seal::seal(roots, &sysroot, &plan.target))
        .and_then(|()| transaction::run(roots, Some(run), &plan.boot, &plan.files, progress, &mut stamp));
    let swapped = match done {
        Ok(swapped) => swapped,
        Err(error) => {
            reserved.give_up(roots);
            // A second run begins with it again, and whoever asks for the staged deployment sees it.
            if let Err(error) = run.give_back() {
                log::warn!("{error}");
            }
            return Err(error.into());
        }
    };
    messages::complete(&sysroot, &plan.boot);
    progress.enter(Phase::Clean);
    let boot = &plan.boot;
    let current = sysroot.current(boot.bootversion, boot.subbootversion, boot.list.clone());
    if swapped == Swapped::Durably {
        cleanup::clean(roots, &current, &before);
    }
    forget(roots, run);
    log::info!("/{target} is finalized in {}", progress.summary());
    Ok(())
}

/// Waits for whoever has the sysroot.
pub(crate) fn lock(roots: &Roots, timeout: Duration, waiting: &dyn Fn()) -> Result<Lock, Error> {
    const LOCK: &str = "/sysroot/ostree/lock";
    let ostree =
        dir::open(&roots.sysroot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/sysroot/ostree")?;
    let mut lockable = Lockable::open(ostree, "lock").context("open", LOCK)?;
    let begin = Instant::now();
    let mut told = false;
    loop {
        lockable = match lockable.try_lock().context("lock", LOCK)? {
            Ok(lock) => return Ok(lock),
            Err(lockable) => lockable,
        };
        let holder = || lockable.holder().map_or_else(|| "somebody".to_owned(), |holder| holder.to_string());
        if begin.elapsed() >= timeout {
            return Err(Error::Locked { seconds: timeout.as_secs(), holder: holder() });
        }
        if !told {
            told = true;
            log::info!("waiting for the lock of the sysroot, which {} has", holder());
        }
        waiting();
        std::thread::sleep(PATIENCE);
    }
}

/// What an interrupted run has left.
enum Resume {
    /// The old list counts: it can be done again.
    Again,
    /// The new list counts already.
    Swapped,
    /// Something else has happened since.
    Void,
}

fn resume(
    roots: &Roots,
    run: &RunOstree,
    sysroot: &Sysroot,
    staged: &StagedState,
    circumstances: &Circumstances,
) -> Result<Resume, Error> {
    let now: Vec<String> = sysroot.deployments.iter().map(|deployment| deployment.path.to_string()).collect();
    if circumstances.booted == sysroot.booted.to_string() {
        if now == circumstances.after {
            return Ok(Resume::Swapped);
        }
        let is_there = deployment::identity(roots, &staged.target.deployment)?.is_some();
        if is_there && sysroot.fingerprint() == circumstances.before {
            return Ok(Resume::Again);
        }
    }
    log::warn!("what an interrupted run has left is out of date: it is dropped");
    etc_before::forget(roots);
    run.end()?;
    Ok(Resume::Void)
}

/// Undoes what an earlier run has merged, if that is known: from then on no run has worked on the deployment.
fn is_undone(
    roots: &Roots,
    run: &RunOstree,
    target: &DeploymentPath,
    is_interrupted: bool,
) -> Result<bool, SystemError> {
    let is_restored = etc_before::restore(roots, run, target)?;
    if is_restored {
        if is_interrupted {
            run.give_back()?;
        }
        run.is_as_announced()?;
    }
    Ok(is_restored)
}

/// The swap of an interrupted run has happened: what follows it is left to do.
fn finish_interrupted(
    roots: &Roots,
    run: &RunOstree,
    sysroot: &Sysroot,
    circumstances: &Circumstances,
    progress: &mut Progress,
) -> Result<(), Error> {
    log::info!("an earlier run was interrupted after the update had been put in place: cleaning up");
    // What only the old list needs goes when the disk has the new one.
    durability::everything(roots)?;
    progress.enter(Phase::Clean);
    stamp::remove(roots);
    let list = deployment_list::current(sysroot);
    let before = sysroot::deployments_in(&circumstances.before);
    cleanup::clean(roots, &sysroot.current(sysroot.bootversion, sysroot.subbootversion, list), &before);
    forget(roots, run);
    Ok(())
}

fn forget(roots: &Roots, run: &RunOstree) {
    etc_before::forget(roots);
    if let Err(error) = run.end() {
        log::warn!("{error}");
    }
}

/// Conflicts in `/etc` stop it, before anything is changed. Where libostree stops as well, its words are in the log, too: monitoring
/// looks for them.
pub(crate) fn refuse_conflicts(plan: &Finalization) -> Result<(), Error> {
    let conflicts = plan.etc.as_ref().map(|etc| etc.plan.conflicts.as_slice()).unwrap_or_default();
    if conflicts.is_empty() {
        return Ok(());
    }
    for conflict in conflicts.iter().filter(|conflict| conflict.is_known_to_libostree()).take(SHOWN_CONFLICTS) {
        let path = conflict.path.below_etc();
        log::error!("Modified config file newly defaults to directory '{path}', cannot merge");
    }
    Err(Error::Conflicts(conflicts.to_vec()))
}

/// With libostree's words, which monitoring looks for, and ours.
fn report_skipped(plan: &Finalization) {
    for skipped in plan.etc.iter().flat_map(|etc| &etc.skipped) {
        let path = skipped.path.below_etc();
        log::info!("Ignoring non-regular/non-symlink file found during /etc merge: {path}");
        log::warn!("{} is a device, fifo or socket: it is not carried over", skipped.path);
    }
}

fn circumstances_of(sysroot: &Sysroot, plan: &Finalization) -> Circumstances {
    Circumstances {
        before: sysroot.fingerprint(),
        after: plan.boot.list.iter().map(|listed| listed.deployment.path.to_string()).collect(),
        booted: sysroot.booted.to_string(),
    }
}

/// The new deployment's `/etc`.
fn merge(roots: &Roots, plan: &Finalization, progress: &mut Progress) -> Result<(), SystemError> {
    progress.enter(Phase::Merge);
    let directory = deployment::open(roots, &plan.target)?;
    if plan.reset_etc {
        tree::set_immutable(&directory, false).context("make changeable", format_args!("/{}", plan.target))?;
        execute::reset(&directory, &format!("/{}", plan.target))?;
    }
    let Some(etc) = &plan.etc else { return Ok(()) };
    messages::merging(etc);
    let machine = deployment::open(roots, &etc.from)
        .and_then(|from| tree::open(from, b"etc").context("open", format_args!("/{}/etc", etc.from)))?;
    let new = tree::open(&directory, b"etc").context("open", format_args!("/{}/etc", plan.target))?;
    execute::execute(&etc.plan, machine, new, || progress.step())
}
