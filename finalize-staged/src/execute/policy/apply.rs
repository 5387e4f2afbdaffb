//! At shutdown: gives the new deployment its policy, and labels to what was merged.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::{Roots, deployment};
use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;
use selinux_policy::Labels;
use system::copy::Copier;
use system::dir::{self, Kind};
use system::tree::{self, TreeWalk, WalkEntry};
use system::{Context, SystemError};

use super::prepare::not_built;
use super::rebuild::Rebuild;
use super::sandbox::COPY;
use super::work;
use crate::error::Error;
use crate::etc_merge::execute;
use crate::etc_merge::path::EtcPath;
use crate::etc_merge::plan::{EtcMergePlan, Step};
use crate::finalization::Finalization;
use crate::policy::changes::{Decision, PolicyPlan};
use crate::policy::settings::{OnFailure, Settings};

/// The machine waits for it, and so does the unit's time limit of five minutes.
const LIMIT: Duration = Duration::from_secs(150);
/// In the new `/etc/selinux`: a policy that is not complete yet.
const NEW: &str = ".firstroot-new";

/// Gives the deployment of `plan`, whose `/etc` is merged, its policy. What is wrong goes to `warnings`.
///
/// # Errors
/// The policy cannot be built, and the configuration says that the update shall fail then.
pub(crate) fn apply(
    roots: &Roots,
    plan: &Finalization,
    warnings: &mut Vec<String>,
    progress: &mut dyn FnMut(),
) -> Result<(), Error> {
    let Some((etc, policy)) = plan.etc.as_ref().and_then(|etc| etc.policy.as_ref().map(|policy| (etc, policy))) else {
        return Ok(());
    };
    let new = new_etc(roots, plan)?;
    remove_leftover(&new);
    let machine = || machine_etc(roots, &etc.from);
    let replaced = match policy.decision {
        Decision::Shipped => return Ok(()),
        Decision::Keep => machine().and_then(|machine| copy(machine.as_fd(), &new, policy)),
        Decision::Rebuild => {
            let settings = Settings::read(&roots.system);
            let rebuild = Rebuild {
                roots,
                target: &plan.target,
                from: &etc.from,
                policy,
                // Its files are the same in `etc`, but their times are those of usr/etc.
                reset: plan.reset_etc,
                limit: settings.refresh_timeout.unwrap_or(LIMIT),
            };
            match rebuild.built(false, progress) {
                Ok(work) => take(&work, &new, policy),
                Err(reason) => {
                    let reason = not_built(policy, &reason);
                    if settings.on_refresh_failure == OnFailure::Fail {
                        return Err(Error::Policy(reason));
                    }
                    warnings.push(format!("{reason}; the machine's present policy is used instead"));
                    machine().and_then(|machine| copy(machine.as_fd(), &new, policy))
                }
            }
        }
    };
    if let Err(error) = replaced {
        // The new tree's policy is whole, too; only the machine's changes are not in it.
        warnings.push(format!(
            "the SELinux policy {} is the new tree's, without this machine's changes: {error}",
            policy.name
        ));
    }
    remove_leftover(&new);
    work::forget(roots);
    Ok(())
}

/// Puts a copy of the policy below `source`, a directory like `/etc`, into the place of that below `new`.
fn copy(source: BorrowedFd<'_>, new: &OwnedFd, policy: &PolicyPlan) -> Result<(), SystemError> {
    let selinux = tree::open(new, COPY.as_bytes()).context("open", "/etc/selinux")?;
    let shown = policy.directory().to_string();
    rustix::fs::mkdirat(&selinux, NEW, rustix::fs::Mode::from_raw_mode(0o755)).context("make", &shown)?;
    let directory = tree::open(&selinux, NEW.as_bytes()).context("open", &shown)?;
    let whole = execute::inside(source, &policy.directory()).context("open", &shown)?;
    let all = vec![EtcPath::default()];
    execute::copy_directories(&mut Copier::default(), whole.as_fd(), directory.as_fd(), all)?;
    exchange(&selinux, policy)
}

/// Puts the policy that was built in `work` into the place of that below `new`. It is on the same filesystem, so it needs no room.
fn take(work: &OwnedFd, new: &OwnedFd, policy: &PolicyPlan) -> Result<(), SystemError> {
    let selinux = tree::open(new, COPY.as_bytes()).context("open", "/etc/selinux")?;
    let built = tree::open(work, COPY.as_bytes()).context("open", work::PATH)?;
    // A run after this one was killed has to build it again.
    work::forget_record(work)?;
    rustix::fs::renameat(&built, policy.name.as_str(), &selinux, NEW).context("move", policy.directory())?;
    exchange(&selinux, policy)
}

/// Exchanges the complete new policy with the old one, so that a failure leaves one of the two.
fn exchange(selinux: &OwnedFd, policy: &PolicyPlan) -> Result<(), SystemError> {
    rustix::fs::renameat_with(selinux, NEW, selinux, policy.name.as_str(), RenameFlags::EXCHANGE)
        .context("put into place", policy.directory())
}

fn remove_leftover(new: &OwnedFd) {
    let removed = match tree::open(new, COPY.as_bytes()) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        other => other.and_then(|selinux| tree::remove(selinux, NEW.as_bytes())),
    };
    if let Err(error) = removed {
        log::warn!("cannot remove /etc/selinux/{NEW}: {error}");
    }
}

/// The steps by which [`apply`] changes the new `/etc`: for the record by which an interrupted run is undone.
pub(crate) fn steps(plan: &Finalization) -> Vec<Step> {
    let policy = plan.etc.as_ref().and_then(|etc| etc.policy.as_ref());
    let changing = policy.filter(|policy| policy.decision != Decision::Shipped);
    changing.map(|policy| Step::Replace(policy.directory())).into_iter().collect()
}

/// Labels what the merge has brought without a label, and all of a policy that was built. A failure is a warning.
pub(crate) fn label(roots: &Roots, plan: &Finalization, labels: &Labels) {
    let Some(etc) = plan.etc.as_ref().filter(|_| labels.are_wanted()) else { return };
    let opened = new_etc(roots, plan).and_then(|new| Ok((new, machine_etc(roots, &etc.from)?)));
    let (new, machine) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            log::warn!("{error}: merged files keep the labels that they have");
            return;
        }
    };
    label_merged(&etc.plan, &machine, &new, labels);
    if let Some(policy) = etc.policy.as_ref().filter(|policy| policy.decision == Decision::Rebuild) {
        label_policy(&new, policy, labels);
    }
}

/// A merged file keeps the label that it has on the machine. If it has none there, or the kernel refused to copy it, it gets that of
/// its path.
fn label_merged(plan: &EtcMergePlan, machine: &OwnedFd, new: &OwnedFd, labels: &Labels) {
    for step in &plan.steps {
        let (Step::Directory(path) | Step::Replace(path)) = step else { continue };
        let Some((parent, name)) = path.split() else { continue };
        // What cannot be opened was not merged, or keeps the label that it has.
        let (Ok(from), Ok(to)) = (execute::inside(machine.as_fd(), &parent), execute::inside(new.as_fd(), &parent))
        else {
            continue;
        };
        let open = |directory: &OwnedFd| {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            dir::open_plainly(directory, OsStr::from_bytes(name), flags)
        };
        match tree::kind_of(&to, name) {
            Ok(Kind::Link) => {
                let (original, copied) = (selinux_policy::of_link(&from, name), selinux_policy::of_link(&to, name));
                labels.complete(&original, &copied, |labels| labels.give_link(&to, name, &path.absolute()));
            }
            Ok(kind @ (Kind::File | Kind::Directory)) => {
                let (Ok(original), Ok(copied)) = (open(&from), open(&to)) else { continue };
                let (of_original, of_copied) = (selinux_policy::of(&original), selinux_policy::of(&copied));
                labels.complete(&of_original, &of_copied, |labels| labels.give(&copied, &path.absolute(), kind));
            }
            Ok(Kind::Other) | Err(_) => {}
        }
    }
}

/// semodule labels its files by the path that they have while it works.
fn label_policy(new: &OwnedFd, policy: &PolicyPlan, labels: &Labels) {
    let directory = policy.directory();
    let walked = execute::inside(new.as_fd(), &directory).and_then(|store| {
        labels.give(&store, &directory.absolute(), Kind::Directory);
        let mut walk = TreeWalk::new(&store)?;
        while let Some(WalkEntry { path, kind }) = walk.next_entry()? {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
            if matches!(kind, Kind::File | Kind::Directory)
                && let Ok(file) = dir::open_plainly(&store, OsStr::from_bytes(&path), flags)
            {
                labels.give(file, &[&directory.absolute(), b"/".as_slice(), &path].concat(), kind);
            }
        }
        Ok(())
    });
    if let Err(error) = walked {
        log::warn!("cannot label everything in {directory}: {error}");
    }
}

fn machine_etc(roots: &Roots, from: &DeploymentPath) -> Result<OwnedFd, SystemError> {
    let deployment = deployment::open(roots, from)?;
    tree::open(deployment, b"etc").context("open", format_args!("/{from}/etc"))
}

fn new_etc(roots: &Roots, plan: &Finalization) -> Result<OwnedFd, SystemError> {
    deployment::open(roots, &plan.target)
        .and_then(|target| tree::open(target, b"etc").context("open", format_args!("/{}/etc", plan.target)))
}

/// Removes what [`super::prepare`] or [`apply`] has built.
pub(crate) fn forget(roots: &Roots) {
    work::forget(roots);
}
