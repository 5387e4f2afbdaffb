//! The staged deployment: the file that announces it, and the files that exist while it is finalized.
//!
//! `/run/ostree/staged-deployment` tells other programs that the deployment waits for shutdown. So the file is renamed before the
//! merge begins. The files that a second run needs, if the first one is killed, are beside it.

use std::os::fd::OwnedFd;
use std::path::Path;

use boot_list::plan::BootPlan;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::Sysroot;
use ostree_sysroot::boot_contents::Beside;
use ostree_sysroot::compared_files::ComparedFiles;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use system::{Context, SystemError, dir};

use crate::error::Error;

/// libostree's directory for data of the current boot.
pub(crate) const RUN_OSTREE: &str = "/run/ostree";
/// The absolute path of the announcement.
pub(crate) const STAGED: &str = "/run/ostree/staged-deployment";
const STAGED_NAME: &str = "staged-deployment";
const LOCKED_NAME: &str = "staged-deployment-locked";
/// The same file during a finalization.
const KEPT: &str = "/run/ostree/staged-deployment-finalizing";
const KEPT_NAME: &str = "staged-deployment-finalizing";
/// The state of the system when the finalization began.
const CIRCUMSTANCES_NAME: &str = "staged-deployment-finalizing.json";
/// The state of its `etc` before the merge.
const BEFORE_NAME: &str = "staged-deployment-finalizing.etc";
/// Files in `/boot` that were compared since the boot.
const COMPARED_NAME: &str = "finalize-staged-compared.json";
/// Files of `/etc` that `--prepare` has compared with the shipped ones.
const KNOWN_ETC_NAME: &str = "finalize-staged-compared.etc";

/// An announcement is a few lines long, or some more with many kernel arguments.
const LIMIT: u64 = 1 << 20;
/// The record of `etc` has one line for each change of the merge.
const BEFORE_LIMIT: u64 = 1 << 28;

/// The state of the system before and after a finalization. A second run compares it, to decide how to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResumeRecord {
    /// [`ostree_sysroot::Sysroot::fingerprint`] before the swap.
    pub(crate) before: String,
    /// The deployments after the swap.
    pub(crate) after: Vec<String>,
    /// The booted deployment, which changes with a soft reboot.
    pub(crate) booted: String,
}

impl ResumeRecord {
    /// The record of a run that replaces the list of `sysroot` by that of `plan`.
    pub(crate) fn of(sysroot: &Sysroot, plan: &BootPlan) -> Self {
        Self {
            before: sysroot.fingerprint(),
            after: plan.list.iter().map(|listed| listed.deployment.path.to_string()).collect(),
            booted: sysroot.booted.to_string(),
        }
    }
}

/// The state of the staged deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StagedNow {
    /// Nothing is staged.
    Nothing,
    /// Nothing is staged, and the file for it is empty: an administrator has made it with `touch`, to start the service.
    Empty,
    /// It is staged, but locked.
    Locked,
    /// It is staged.
    Staged {
        /// The content of the announcement.
        state: Box<StagedState>,
        /// Whether a failed run may have changed its `etc`.
        used: bool,
    },
    /// A run was interrupted.
    Interrupted(Box<StagedState>, ResumeRecord),
}

/// `/run/ostree`.
#[derive(Debug)]
pub(crate) struct RunDirectory(OwnedFd);

impl RunDirectory {
    /// Opens that of the system whose root is the directory `root`. `None`: nothing was ever staged.
    pub(crate) fn open(root: &Path) -> Result<Option<Self>, SystemError> {
        let root = dir::open_root(root).context("open", root.display())?;
        match dir::open_directory(root, RUN_OSTREE.trim_start_matches('/')) {
            Ok(directory) => Ok(Some(Self(directory))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).context("open", RUN_OSTREE),
        }
    }

    /// Reads the state. A newer announcement overrides the files of an earlier finalization.
    pub(crate) fn find(&self) -> Result<StagedNow, Error> {
        let staged = self.read(STAGED_NAME)?;
        let is_empty = staged.as_ref().is_some_and(Vec::is_empty);
        if let Some(bytes) = staged.filter(|bytes| !bytes.is_empty()) {
            let state = parse(&bytes, STAGED)?;
            if state.locked || self.has(LOCKED_NAME)? {
                return Ok(StagedNow::Locked);
            }
            // An earlier run may have finalized another deployment. If its record cannot be read, this one is assumed.
            let target = state.target.deployment.to_string();
            let is_about_it = |bytes: Vec<u8>| match serde_json::from_slice::<ResumeRecord>(&bytes) {
                Ok(resume_record) => resume_record.after.first() == Some(&target),
                Err(_) => true,
            };
            let used = self.read(CIRCUMSTANCES_NAME)?.is_some_and(is_about_it);
            return Ok(StagedNow::Staged { state: Box::new(state), used });
        }
        let (kept, resume_record) = (self.read(KEPT_NAME)?, self.read(CIRCUMSTANCES_NAME)?);
        let resume_record = resume_record.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(match (kept, resume_record) {
            (Some(kept), Some(resume_record)) => StagedNow::Interrupted(Box::new(parse(&kept, KEPT)?), resume_record),
            _ if is_empty => StagedNow::Empty,
            _ => StagedNow::Nothing,
        })
    }

    /// The staged deployment, if there is one; whether it is locked, whether an earlier run may have changed its `etc`, and whether a
    /// run was interrupted.
    pub(crate) fn announced(&self) -> Result<Option<(StagedState, bool, bool, bool)>, Error> {
        match self.find()? {
            StagedNow::Nothing | StagedNow::Empty => Ok(None),
            StagedNow::Staged { state, used } => Ok(Some((*state, false, used, false))),
            StagedNow::Interrupted(state, _) => Ok(Some((*state, false, true, true))),
            StagedNow::Locked => match self.read(STAGED_NAME)? {
                Some(bytes) => Ok(Some((parse(&bytes, STAGED)?, true, false, false))),
                None => Ok(None),
            },
        }
    }

    /// Renames the announcement; an interrupted run has already done so.
    pub(crate) fn begin(&self, resume_record: &ResumeRecord) -> Result<(), SystemError> {
        let text = serde_json::to_vec(resume_record).unwrap_or_default();
        let moved = dir::replace_volatile_file(&self.0, CIRCUMSTANCES_NAME, &text, 0o600).and_then(|()| {
            match dir::stat_name(&self.0, STAGED_NAME)? {
                // An empty one must not replace the file of an interrupted run.
                Some(stat) if stat.size == 0 => dir::remove_file(&self.0, STAGED_NAME),
                _ => rustix::fs::renameat(&self.0, STAGED_NAME, &self.0, KEPT_NAME),
            }
        });
        match moved {
            Err(Errno::NOENT) => Ok(()),
            other => other.context("move out of the way", STAGED),
        }
    }

    /// Renames the announcement back after a failure. The record that its `etc` was changed stays.
    pub(crate) fn give_back(&self) -> Result<(), SystemError> {
        match rustix::fs::renameat(&self.0, KEPT_NAME, &self.0, STAGED_NAME) {
            Err(Errno::NOENT) => Ok(()),
            other => other.context("put back", STAGED),
        }
    }

    /// Writes the record of its `etc`, before `etc` is changed.
    pub(crate) fn keep_before(&self, bytes: &[u8]) -> Result<(), SystemError> {
        dir::replace_volatile_file(&self.0, BEFORE_NAME, bytes, 0o600)
            .context("write", format_args!("{RUN_OSTREE}/{BEFORE_NAME}"))
    }

    /// The record of its `etc`, if there is one.
    pub(crate) fn before(&self) -> Result<Option<Vec<u8>>, SystemError> {
        self.read_at_most(BEFORE_NAME, BEFORE_LIMIT)
    }

    /// Removes the record of its `etc`.
    pub(crate) fn forget_before(&self) -> Result<(), SystemError> {
        self.remove(&[BEFORE_NAME])
    }

    /// Removes the records, after its `etc` was restored.
    pub(crate) fn is_as_announced(&self) -> Result<(), SystemError> {
        self.remove(&[CIRCUMSTANCES_NAME, BEFORE_NAME])
    }

    /// Removes all files of a finalization.
    pub(crate) fn end(&self) -> Result<(), SystemError> {
        self.remove(&[KEPT_NAME, CIRCUMSTANCES_NAME, BEFORE_NAME, COMPARED_NAME])
    }

    /// Whether a deployment is staged, and no finalization of it has begun.
    pub(crate) fn is_announced(&self) -> Result<bool, SystemError> {
        self.has(STAGED_NAME)
    }

    /// The time of the announcement: seconds and nanoseconds. Zero if a finalization has renamed it.
    pub(crate) fn staged_at(&self) -> Result<(i64, i64), SystemError> {
        match rustix::fs::statat(&self.0, STAGED_NAME, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok((stat.st_mtime, stat.st_mtime_nsec as i64)),
            Err(Errno::NOENT) => Ok((0, 0)),
            Err(error) => Err(error).context("read the attributes of", STAGED),
        }
    }

    /// The deployments that are staged or being finalized, locked or not.
    pub(crate) fn deployments(&self) -> Result<Vec<DeploymentPath>, Error> {
        let mut deployments = Vec::new();
        for (name, path) in [(STAGED_NAME, STAGED), (KEPT_NAME, KEPT)] {
            if let Some(bytes) = self.read(name)?.filter(|bytes| !bytes.is_empty()) {
                deployments.push(parse(&bytes, path)?.target.deployment);
            }
        }
        Ok(deployments)
    }

    fn remove(&self, names: &[&str]) -> Result<(), SystemError> {
        let mut names = names.iter();
        names
            .try_for_each(|name| dir::remove_file(&self.0, name).context("remove", format_args!("{RUN_OSTREE}/{name}")))
    }

    /// The directory of overlay initrds that were staged, if there is one.
    fn staged_initrds(&self) -> Result<Option<OwnedFd>, SystemError> {
        match dir::open_directory(&self.0, "staged-initrds") {
            Err(Errno::NOENT) => Ok(None),
            other => other.map(Some).context("open", format_args!("{RUN_OSTREE}/staged-initrds")),
        }
    }

    /// The files that a plan for `/boot` needs.
    pub(crate) fn beside(&self) -> Result<Beside, SystemError> {
        Ok(Beside { compared: self.compared()?, overlays: self.staged_initrds()? })
    }

    /// Files in `/boot` that were compared since the machine was booted. Without the list, contents are compared.
    pub(crate) fn compared(&self) -> Result<ComparedFiles, SystemError> {
        match self.read(COMPARED_NAME) {
            // `--plan` without root compares contents, as far as it may read them.
            Err(error) if error.reason == Errno::ACCESS && !rustix::process::geteuid().is_root() => {
                Ok(ComparedFiles::default())
            }
            other => Ok(ComparedFiles::from_json(&other?.unwrap_or_default())),
        }
    }

    /// Writes that list.
    pub(crate) fn keep_compared(&self, compared: &ComparedFiles) -> Result<(), SystemError> {
        dir::replace_volatile_file(&self.0, COMPARED_NAME, &compared.to_json(), 0o600)
            .context("write", format_args!("{RUN_OSTREE}/{COMPARED_NAME}"))
    }

    /// Files of `/etc` that are the same as the shipped ones. Without the list, all are compared.
    pub(crate) fn known_etc(&self) -> Result<Vec<u8>, SystemError> {
        match self.read(KNOWN_ETC_NAME) {
            // It is not ours.
            Err(error) if error.reason == Errno::FBIG => Ok(Vec::new()),
            // `--plan` without root compares, as far as it may read.
            Err(error) if error.reason == Errno::ACCESS && !rustix::process::geteuid().is_root() => Ok(Vec::new()),
            other => Ok(other?.unwrap_or_default()),
        }
    }

    /// Writes that list.
    pub(crate) fn keep_known_etc(&self, known: &[u8]) -> Result<(), SystemError> {
        dir::replace_volatile_file(&self.0, KNOWN_ETC_NAME, known, 0o600)
            .context("write", format_args!("{RUN_OSTREE}/{KNOWN_ETC_NAME}"))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, SystemError> {
        self.read_at_most(name, LIMIT)
    }

    fn read_at_most(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SystemError> {
        match dir::read(&self.0, name, limit) {
            Err(Errno::NOENT) => Ok(None),
            other => other.map(Some).context("read", format_args!("{RUN_OSTREE}/{name}")),
        }
    }

    fn has(&self, name: &str) -> Result<bool, SystemError> {
        dir::stat_name(&self.0, name)
            .map(|stat| stat.is_some())
            .context("read the attributes of", format_args!("{RUN_OSTREE}/{name}"))
    }
}

fn parse(bytes: &[u8], path: &'static str) -> Result<StagedState, Error> {
    StagedState::from_bytes(bytes).map_err(|reason| Error::Staged { path, reason })
}
