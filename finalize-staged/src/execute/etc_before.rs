//! Saves the files of the new `etc` before the merge: a list in `/run/ostree`, which is valid for this boot, and second names of
//! the files in the repository's directory for temporary files. libostree empties that directory of files older than a day, so
//! leftovers of a power cut do not stay.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::{Roots, deployment};
use rustix::fs::{AtFlags, Mode, StatxFlags};
use rustix::io::Errno;
use system::{Context, SystemError, tree};

use super::temporary::{PLACE, place};
use crate::etc_merge::before;
use crate::etc_merge::{restore as etc_restore, save as etc_save};
use crate::execute::policy;
use crate::finalization::Finalization;
use crate::read::run_directory::RunDirectory;

const NAME: &str = "firstroot-etc-before";
const SHOWN: &str = "/sysroot/ostree/repo/tmp/firstroot-etc-before";

/// With less room than this no file is saved, because replacing a file that has a second name frees no room.
const ROOM: u64 = 16 << 20;

/// Saves the files that the merge of `plan` will change. It runs before the announcement of the deployment is renamed, because a
/// run that finds the announcement starts with this step.
pub(crate) fn save(roots: &Roots, run: &RunDirectory, plan: &Finalization) -> Result<(), SystemError> {
    run.forget_before()?;
    let place = place(roots)?;
    tree::remove(&place, NAME.as_bytes()).context("remove", SHOWN)?;
    if plan.reset_etc {
        // It is made from usr/etc each time.
        return Ok(());
    }
    let stat = rustix::fs::fstatvfs(&place).context("read the attributes of", format_args!("/sysroot/{PLACE}"))?;
    let is_full = stat.f_bfree.saturating_mul(stat.f_frsize) < ROOM;
    let saved = match rustix::fs::mkdirat(&place, NAME, Mode::from_raw_mode(0o700)) {
        Err(Errno::NOSPC | Errno::DQUOT) => None,
        Ok(()) if is_full => None,
        made => Some(made.and_then(|()| tree::open(&place, NAME.as_bytes())).context("make", SHOWN)?),
    };
    let etc = open_etc(roots, &plan.target)?;
    let mut steps = plan.etc.as_ref().map(|etc| etc.plan.steps.clone()).unwrap_or_default();
    steps.extend(policy::apply::steps(plan));
    let list = etc_save::save(&steps, &etc, saved.as_ref().map(AsFd::as_fd))?;
    let not_saved = before::not_saved(&list);
    if not_saved > 0 {
        log::warn!(
            "the disk is nearly full: {not_saved} files of /{}/etc are not saved; if this run fails, the next one starts from the shipped files",
            plan.target
        );
    }
    let mut bytes = owner(&plan.target, &etc)?;
    bytes.extend(before::to_bytes(&list));
    run.keep_before(&bytes)
}

/// Undoes the merge of an interrupted or failed run. Returns `false` if there is no record of the earlier state.
pub(crate) fn restore(roots: &Roots, run: &RunDirectory, target: &DeploymentPath) -> Result<bool, SystemError> {
    let Some(bytes) = run.before()? else { return Ok(false) };
    let etc = match open_etc(roots, target) {
        Err(error) if error.reason == Errno::NOENT => return Ok(false),
        other => other?,
    };
    let Some(list) = bytes.strip_prefix(owner(target, &etc)?.as_slice()) else {
        // The deployment was made again since then, with the same name: no run has changed its etc.
        return Ok(true);
    };
    let Some(list) = before::from_bytes(list) else {
        log::warn!(
            "the record of an earlier run's changes in /{target}/etc is damaged: making /etc again from usr/etc"
        );
        return Ok(false);
    };
    let saved = match tree::open(place(roots)?, NAME.as_bytes()) {
        Err(Errno::NOENT) => None,
        other => Some(other.context("open", SHOWN)?),
    };
    let shipped = deployment::open(roots, target)?;
    let shipped = match tree::open(shipped, b"usr").and_then(|usr| tree::open(usr, b"etc")) {
        Err(Errno::NOENT) => None,
        other => Some(other.context("open", format_args!("/{target}/usr/etc"))?),
    };
    etc_restore::restore(&list, saved.as_ref().map(AsFd::as_fd), shipped.as_ref().map(AsFd::as_fd), etc)?;
    log::info!("restored /{target}/etc to its state before the earlier run");
    Ok(true)
}

/// Removes the saved files, after the update is active.
pub(crate) fn forget(roots: &Roots) {
    let removed = place(roots).and_then(|place| tree::remove(place, NAME.as_bytes()).context("remove", SHOWN));
    if let Err(error) = removed {
        log::warn!("{error}; ostree removes it later");
    }
}

fn open_etc(roots: &Roots, target: &DeploymentPath) -> Result<OwnedFd, SystemError> {
    deployment::open(roots, target)
        .and_then(|deployment| tree::open(deployment, b"etc").context("open", format_args!("/{target}/etc")))
}

/// Identifies the deployment and its `etc`, because a deployment can be removed and made again with the same name.
fn owner(target: &DeploymentPath, etc: &OwnedFd) -> Result<Vec<u8>, SystemError> {
    let flags = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = rustix::fs::statx(etc, "", AtFlags::EMPTY_PATH, flags)
        .context("read the attributes of", format_args!("/{target}/etc"))?;
    let birth = stat.stx_btime;
    Ok(format!("{target} {} {}.{}\0", stat.stx_ino, birth.tv_sec, birth.tv_nsec).into_bytes())
}
