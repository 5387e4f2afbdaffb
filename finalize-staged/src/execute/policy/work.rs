//! The work directory: the copy of the policy that is built, and a record of what it was made from. It is in the repository's
//! directory for temporary files: libostree empties that of files older than a day, and then the policy is built at shutdown.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use system::copy::Copier;
use system::dir::{self, Kind};
use system::tree::{self, TreeWalk, WalkEntry};
use system::{Context, SystemError};

use crate::etc_merge::execute;
use crate::etc_merge::path::EtcPath;
use crate::etc_merge::plan::{EtcMergePlan, Step};
use crate::execute::temporary::{PLACE, place};
use crate::policy::changes::{PolicyPlan, USERS};

const NAME: &str = "firstroot-policy";
/// As seen by the processes of the sandbox.
pub(super) const PATH: &str = "/sysroot/ostree/repo/tmp/firstroot-policy";
const RECORD: &str = "record.json";
const LIMIT: u64 = 1 << 20;

/// What was built, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Record {
    /// A fingerprint of the new tree's policy and the machine's changes.
    pub(super) inputs: u64,
    /// How many files it has.
    pub(super) files: usize,
    /// Why it could not be built.
    pub(super) failure: Option<String>,
    /// The reason may be gone by now: time, memory or room.
    pub(super) may_pass: bool,
}

/// The two directories that a policy is made from.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// `etc` of the merge deployment.
    pub(super) machine: OwnedFd,
    /// `etc` of the new deployment, or its `usr/etc`.
    pub(super) new: OwnedFd,
}

impl Inputs {
    /// Opens them.
    pub(super) fn open(
        roots: &Roots,
        from: &DeploymentPath,
        target: &DeploymentPath,
        reset: bool,
    ) -> Result<Self, SystemError> {
        let open = |path: String| {
            dir::open(&roots.sysroot, &path, OFlags::RDONLY | OFlags::DIRECTORY)
                .context("open", format_args!("/{path}"))
        };
        let new = if reset { "usr/etc" } else { "etc" };
        Ok(Self { machine: open(format!("{from}/etc"))?, new: open(format!("{target}/{new}"))? })
    }

    /// A fingerprint: it changes when a file of the new tree's policy or a file that the machine has changed does. Another boot and
    /// another deployment have others.
    pub(super) fn fingerprint(&self, target: &DeploymentPath, policy: &PolicyPlan) -> Result<u64, Errno> {
        let mut hash = Fingerprint::default();
        // A deployment that is staged does not outlive the boot, and its inodes are given to others.
        let boot = std::fs::read("/proc/sys/kernel/random/boot_id");
        hash.add(&boot.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?);
        hash.add(target.to_string().as_bytes());
        hash.add(&rustix::fs::fstat(&self.new)?.st_ino.to_le_bytes());
        for path in policy.steps.iter().map(Step::path).chain(&policy.users) {
            hash.add(path.relative().as_bytes());
            match rustix::fs::statat(&self.machine, path.relative(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => hash.add_stat(&stat, (stat.st_ctime, stat.st_ctime_nsec as i64)),
                Err(Errno::NOENT | Errno::NOTDIR) => hash.add(b"-"),
                Err(error) => return Err(error),
            }
        }
        let store = execute::inside(self.new.as_fd(), &policy.directory())?;
        let mut walk = TreeWalk::new(&store)?;
        while let Some(WalkEntry { path, kind }) = walk.next_entry()? {
            hash.add(&path);
            if kind == Kind::File {
                let stat = rustix::fs::statat(&store, std::ffi::OsStr::from_bytes(&path), AtFlags::SYMLINK_NOFOLLOW)?;
                // Not the time of the last change of its inode: the merge gives these files second names before.
                hash.add_stat(&stat, (stat.st_mtime, stat.st_mtime_nsec as i64));
            }
        }
        Ok(hash.0)
    }
}

/// FNV-1a: nobody gains by making two inputs alike, since both are root's.
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(b"\0") {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn add_stat(&mut self, stat: &rustix::fs::Stat, (seconds, nanoseconds): (i64, i64)) {
        let parts = [stat.st_ino, stat.st_size as u64, seconds as u64, nanoseconds as u64];
        parts.iter().for_each(|part| self.add(&part.to_le_bytes()));
    }
}

/// Makes the work directory anew, with the policy before it is built: the new tree's, with the machine's changes.
pub(super) fn make(roots: &Roots, inputs: &Inputs, policy: &PolicyPlan) -> Result<OwnedFd, SystemError> {
    let place = place(roots)?;
    tree::remove(&place, NAME.as_bytes()).context("remove", PATH)?;
    rustix::fs::mkdirat(&place, NAME, Mode::from_raw_mode(0o700)).context("make", PATH)?;
    let work = tree::open(&place, NAME.as_bytes()).context("open", PATH)?;
    let directories = [super::sandbox::ROOT, super::sandbox::COPY, super::sandbox::FILES];
    for name in directories {
        rustix::fs::mkdirat(&work, name, Mode::from_raw_mode(0o755)).context("make", format_args!("{PATH}/{name}"))?;
    }
    let etc = EtcPath::default();
    let selinux = etc.join(super::sandbox::COPY.as_bytes());
    execute::copy_directories(&mut Copier::default(), inputs.new.as_fd(), work.as_fd(), vec![selinux])?;
    let steps = EtcMergePlan { steps: policy.steps.clone(), ..EtcMergePlan::default() };
    execute::execute(&steps, &inputs.machine, &work, || {})?;
    copy_users(inputs, policy, &work)?;
    // semodule stops at what an earlier one has left behind.
    let store = execute::inside(work.as_fd(), &policy.directory()).context("open", PATH)?;
    for name in ["tmp", "previous"] {
        tree::remove(&store, name.as_bytes()).context("remove", format_args!("{PATH}/…/{name}"))?;
    }
    let copy = tree::open(&work, super::sandbox::COPY.as_bytes()).context("open", PATH)?;
    tree::remove(copy, b"final").context("remove", format_args!("{PATH}/…/final"))?;
    Ok(work)
}

/// Copies the machine's files of users.
fn copy_users(inputs: &Inputs, policy: &PolicyPlan, work: &OwnedFd) -> Result<(), SystemError> {
    let files = tree::open(work, super::sandbox::FILES.as_bytes()).context("open", PATH)?;
    for path in USERS.into_iter().filter(|path| policy.users.iter().any(|user| user.relative() == *path)) {
        let copied = match dir::open(&inputs.machine, path, OFlags::RDONLY | OFlags::NONBLOCK) {
            // It has been removed since the plan was made.
            Err(Errno::NOENT) => continue,
            other => other.and_then(|file| {
                Copier::default().plain_file(file, &files, super::sandbox::file_name(path).as_bytes())
            }),
        };
        copied.context("copy", format_args!("/etc/{path}"))?;
    }
    Ok(())
}

/// How many files the built policy has.
pub(super) fn count(work: &OwnedFd, policy: &PolicyPlan) -> Result<usize, Errno> {
    let mut walk = TreeWalk::new(&execute::inside(work.as_fd(), &policy.directory())?)?;
    let mut files = 0;
    while let Some(WalkEntry { kind, .. }) = walk.next_entry()? {
        files += usize::from(kind == Kind::File);
    }
    Ok(files)
}

/// Removes the copy, which is not complete.
pub(super) fn remove_copy(work: &OwnedFd) {
    if let Err(error) = tree::remove(work, super::sandbox::COPY.as_bytes()) {
        log::warn!("cannot remove {PATH}/{}: {error}", super::sandbox::COPY);
    }
}

/// The work directory, if there is one.
pub(super) fn open(roots: &Roots) -> Result<Option<OwnedFd>, SystemError> {
    match tree::open(place(roots)?, NAME.as_bytes()) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some).context("open", PATH),
    }
}

/// The record, if there is one that can be understood.
pub(super) fn record(work: &OwnedFd) -> Option<Record> {
    serde_json::from_slice(&dir::read(work, RECORD, LIMIT).ok()?).ok()
}

/// The work directory, only to read it; without root there is none.
pub(super) fn open_to_read(roots: &Roots) -> Option<OwnedFd> {
    dir::open(&roots.sysroot, format!("{PLACE}/{NAME}"), OFlags::RDONLY | OFlags::DIRECTORY).ok()
}

/// Removes the record, before what it is about is moved.
pub(super) fn forget_record(work: &OwnedFd) -> Result<(), SystemError> {
    dir::remove_file(work, RECORD).context("remove", format_args!("{PATH}/{RECORD}"))
}

/// Writes the record.
pub(super) fn keep_record(work: &OwnedFd, record: &Record) -> Result<(), SystemError> {
    let text = serde_json::to_vec(record).unwrap_or_default();
    dir::replace_volatile_file(work, RECORD, &text, 0o600).context("write", format_args!("{PATH}/{RECORD}"))
}

/// Removes the work directory.
pub(crate) fn forget(roots: &Roots) {
    let removed = place(roots).and_then(|place| tree::remove(place, NAME.as_bytes()).context("remove", PATH));
    if let Err(error) = removed {
        log::warn!("{error}; ostree removes it later");
    }
}
