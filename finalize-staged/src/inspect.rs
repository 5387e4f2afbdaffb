//! What the command for people asks. Only reads, but for [`writable_roots`] and [`lock`], which a repair needs.
//!
//! Errors are texts here: they are shown, and nothing else is done with them.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use boot_list::plan::entry::Naming;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::staged_state::StagedState;
use ostree_sysroot::{Roots, Sysroot, free_space};
use system::SystemError;
use system::dir::Kind;
use system::lock::Lock;

use crate::command::plan;
use crate::error::Error;
use crate::etc_merge::known::Known;
use crate::etc_merge::scan::{self, Trees};
pub use crate::execute::attempts::{Attempts, Verdict};
use crate::execute::{attempts, failure_stamp, lock, writable_roots};
use crate::finalization::{self, Staging};
use crate::handover;
use crate::program::Status;
use crate::read::options::SysrootOptions;
use crate::read::run_directory::RunDirectory;
use crate::read::unit_drop_ins;

/// A staged deployment.
#[derive(Debug, Clone)]
pub struct Staged {
    /// The content of its announcement.
    pub state: StagedState,
    /// It waits for `ostree admin lock-finalization --unlock`.
    pub locked: bool,
    /// A finalization of it was interrupted.
    pub interrupted: bool,
    /// An earlier run may have changed its `etc`.
    pub used: bool,
}

/// The staged deployment of the system whose root is the directory `root`.
///
/// # Errors
/// The announcement cannot be read, or is damaged.
pub fn staged(root: &Path) -> Result<Option<Staged>, String> {
    let look = || -> Result<Option<Staged>, Error> {
        let Some(run) = RunDirectory::open(root)? else { return Ok(None) };
        let Some((state, locked, used, interrupted)) = run.announced()? else { return Ok(None) };
        Ok(Some(Staged { state, locked, used, interrupted }))
    };
    look().map_err(text)
}

/// What the finalization of a staged deployment would meet.
#[derive(Debug, Clone, Default)]
pub struct Finalization {
    /// Why `ostree` would finalize it.
    pub left_to_ostree: Option<String>,
    /// Conflicts in `/etc`. With any of them nothing would be done.
    pub conflicts: Vec<String>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Bytes that `/boot` must take.
    pub boot_bytes: u64,
    /// Bytes that are free there.
    pub boot_free: u64,
}

/// Plans the finalization of `staged`, and reads all that it depends on.
///
/// # Errors
/// Finalization would fail, for this reason.
pub fn plan(root: &Path, roots: &Roots, staged: &Staged) -> Result<Finalization, String> {
    let look = || -> Result<Finalization, Error> {
        if roots.boot_is_fat()? {
            return Err(Error::BootOnFat);
        }
        let sysroot = match handover::sysroot_or_reason(roots)? {
            Ok(sysroot) => sysroot,
            Err(reason) => return Ok(Finalization { left_to_ostree: Some(reason), ..Finalization::default() }),
        };
        let Some(run) = RunDirectory::open(root)? else { return Ok(Finalization::default()) };
        let (beside, known) = (run.beside()?, Known::from_bytes(&run.known_etc()?));
        let staging = Staging {
            staged: &staged.state,
            used: staged.used,
            options: SysrootOptions::of_environment(),
            beside: &beside,
            known: &known,
            lenient: false,
        };
        let plan = finalization::plan(roots, &sysroot, &staging)?;
        let conflicts = plan.etc.iter().flat_map(|etc| &etc.plan.conflicts).map(ToString::to_string).collect();
        let warnings = sysroot.warnings.into_iter().chain(plan.warnings).chain(plan.boot.loader_warnings);
        Ok(Finalization {
            left_to_ostree: None,
            conflicts,
            warnings: warnings.collect(),
            boot_bytes: plan.files.bytes(),
            boot_free: free_space::of_boot(roots)?,
        })
    };
    look().map_err(text)
}

/// The conflicts in `/etc` that would stop the finalization of `staged`. Reads less than [`plan`].
///
/// # Errors
/// A file cannot be read, or the deployment whose `/etc` is merged is not in the list.
pub fn conflicts(roots: &Roots, sysroot: &Sysroot, staged: &Staged) -> Result<Vec<String>, String> {
    let lenient = !rustix::process::geteuid().is_root();
    finalization::conflicts(roots, sysroot, &staged.state, staged.used, lenient)
        .map(|conflicts| conflicts.iter().map(ToString::to_string).collect())
        .map_err(text)
}

/// The list of deployments, for a program that writes it anew; or why only `ostree` can write it.
///
/// # Errors
/// It cannot be read.
pub fn writable_list(roots: &Roots) -> Result<Result<Sysroot, String>, String> {
    if roots.boot_is_fat().map_err(|error| error.to_string())? {
        return Err(Error::BootOnFat.to_string());
    }
    handover::sysroot_or_reason(roots).map_err(text)
}

/// How new entries are called.
pub fn naming() -> Naming {
    SysrootOptions::of_environment().naming
}

/// The stamp in `/boot` that a failed or interrupted finalization has left.
///
/// # Errors
/// It cannot be read.
pub fn stamp(roots: &Roots) -> Result<Option<String>, SystemError> {
    failure_stamp::read(roots)
}

/// The remarks in a stamp that is not about a failure.
pub fn remarks(stamp: &str) -> Option<Vec<String>> {
    failure_stamp::remarks(stamp)
}

/// The deployment that a stamp is about.
pub fn target_of_stamp(stamp: &str) -> Option<DeploymentPath> {
    failure_stamp::target(stamp)
}

/// Prints what finalization would do now, as `ostree-finalize-staged --plan`.
pub fn print_plan(json: bool) -> Status {
    system::limits::open_as_many_files_as_allowed();
    plan::show(json)
}

/// A name in `/etc` that is not as the tree ships it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Its path, relative to `/etc`.
    pub path: OsString,
    /// What the tree ships there.
    pub shipped: Option<Kind>,
    /// What the machine has.
    pub machine: Option<Kind>,
    /// What the other tree ships there.
    pub new: Option<Kind>,
}

/// How `/etc` differs from a tree.
#[derive(Debug, Clone, Default)]
pub struct Drift {
    /// The names, sorted by path; a directory is one of them if it differs itself.
    pub changed: Vec<Changed>,
    /// Devices, fifos and sockets, which no update carries over.
    pub special: Vec<OsString>,
    /// What could not be read without root.
    pub unreadable: Vec<OsString>,
}

/// Compares the machine's `/etc` with the `shipped` one. `new` is the one of another tree, or the same again.
///
/// # Errors
/// A file cannot be read. Without root such a file is noted.
pub fn drift(shipped: OwnedFd, machine: OwnedFd, new: OwnedFd) -> Result<Drift, String> {
    system::limits::open_as_many_files_as_allowed();
    let lenient = !rustix::process::geteuid().is_root();
    let scanned =
        scan::scan(&Trees { shipped: Some(shipped), machine, new }, &Known::default(), lenient).map_err(text)?;
    let path = |path: &crate::etc_merge::path::EtcPath| path.relative().to_owned();
    let changed = scanned.differences.iter().filter(|difference| difference.changed);
    let mut changed: Vec<Changed> = changed
        .map(|difference| Changed {
            path: path(&difference.path),
            shipped: difference.shipped,
            machine: difference.machine,
            new: difference.new,
        })
        .collect();
    changed.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Drift {
        changed,
        special: scanned.skipped.iter().map(|skipped| path(&skipped.path)).collect(),
        unreadable: scanned.unreadable.iter().map(path).collect(),
    })
}

/// A command that a unit of libostree runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitCommand {
    /// The file that it is in: the unit, or a drop-in.
    pub file: String,
    /// The command line.
    pub command: String,
}

/// The commands of `key` (`ExecStop`) in `unit` (`ostree-finalize-staged`), with all drop-ins; `None`: there is no such unit.
///
/// # Errors
/// A file cannot be read.
pub fn unit_commands(root: impl AsFd, unit: &str, key: &str) -> Result<Option<Vec<UnitCommand>>, SystemError> {
    let found = unit_drop_ins::commands(root, unit, key)?;
    Ok(found.map(|found| found.into_iter().map(|(file, command)| UnitCommand { file, command }).collect()))
}

/// Opens the running system with a physical root that this process may write to, in a mount namespace of its own.
///
/// # Errors
/// It cannot be made writable.
pub fn writable_roots() -> Result<Roots, SystemError> {
    writable_roots::open_with_writable_sysroot()
}

/// The same with a writable `/boot`.
///
/// # Errors
/// One of them cannot be made writable.
pub fn writable_roots_and_boot() -> Result<Roots, SystemError> {
    writable_roots::open()
}

/// Why the sysroot is not locked.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    /// Another program holds the lock: later it may succeed.
    #[error("{0}")]
    Held(String),
    /// The file cannot be opened or locked.
    #[error("{0}")]
    Failed(String),
}

/// What the initramfs, and earlier runs, have written down about attempts.
///
/// # Errors
/// A file cannot be read.
pub fn attempts(roots: &Roots) -> Result<Attempts, SystemError> {
    Attempts::read(roots)
}

/// Writes down what is on trial now, where the initramfs counts. A second run writes nothing.
///
/// # Errors
/// Something cannot be read or written.
pub fn keep_attempts(roots: &Roots, sysroot: &Sysroot) -> Result<(), String> {
    attempts::keep(roots, sysroot, naming()).map_err(text)
}

/// Writes down that a deployment which is about to become the default is on trial. An error is a warning.
pub fn announce(roots: &Roots, sysroot: &Sysroot, new: &DeploymentPath) {
    attempts::announce(roots, sysroot, new);
}

/// Writes down a verdict about a deployment that is, or was, on trial.
///
/// # Errors
/// Something cannot be read or written.
pub fn judge(roots: &Roots, path: &DeploymentPath, verdict: Verdict) -> Result<(), SystemError> {
    attempts::judge(roots, path, verdict)
}

/// Takes the lock of the sysroot, and waits at most `timeout` for another program.
///
/// # Errors
/// See [`NotLocked`].
pub fn lock(roots: &Roots, timeout: Duration) -> Result<Lock, NotLocked> {
    lock::lock(roots, timeout, &|| ()).map_err(|error| match error {
        Error::Locked { .. } => NotLocked::Held(text(error)),
        error => NotLocked::Failed(text(error)),
    })
}

fn text(error: Error) -> String {
    error.to_string()
}
