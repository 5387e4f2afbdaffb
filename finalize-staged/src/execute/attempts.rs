//! What an initramfs needs to count the attempts of a deployment, where no boot loader does: which one is on trial, which one boots in
//! its place, and the list that begins with that one.
//!
//! Nothing here is a reason to fail: without it nothing is counted. A record leads to a list only while that is whole, and the initramfs
//! takes the list only for the one that it was made for.

use std::os::fd::OwnedFd;

use boot_list::execute::older_list as write;
use boot_list::loader::ask::ask;
use boot_list::loader::older_menu;
use boot_list::plan::entry::Naming;
use boot_list::plan::list::{self, ListedDeployment};
use boot_list::plan::older_list as plan;
use boot_list::plan::trial::Situation;
use esp_projection::read::list::can_bless;
use ostree_formats::boot_attempts::{
    BootCount, COUNT, COUNT_SIZE, Count, DIRECTORY, Damaged, NOTHING_COUNTED, OLDER_LIST, RECORD, RECORD_LIMIT, Record,
    Trial,
};
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::deployment::Deployment;
use ostree_sysroot::{Roots, Sysroot, deployment, list_digest};
use rustix::fs::OFlags;
use rustix::io::Errno;
use selinux_policy::Labels;
use system::{Context, SystemError, dir, tree};

use super::boot_filesystem;
use crate::error::Error;
use crate::read::options::SysrootOptions;

const BOOT_COUNT: &str = "run/ostree/boot-count";
const BOOT_TRIAL: &str = "run/ostree/boot-trial";
const LIMIT: u64 = 1 << 12;

/// What the initramfs, and earlier runs, have written.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    /// What the initramfs says of this boot; `None`: it counts nothing.
    pub boot: Option<BootCount>,
    /// This boot is an attempt.
    pub is_attempt: bool,
    /// What is on trial.
    pub record: Record,
    /// How often it was tried.
    pub count: Option<Count>,
    /// The file of the count has to be made.
    needs_count: bool,
}

impl Attempts {
    /// Reads all of it. What is damaged says nothing, with a warning.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) fn read(roots: &Roots) -> Result<Self, SystemError> {
        let boot = of_file(&roots.system, BOOT_COUNT, LIMIT)?;
        let boot = boot.and_then(|bytes| understood(BOOT_COUNT, BootCount::parse(&bytes)));
        let is_attempt = of_file(&roots.system, BOOT_TRIAL, LIMIT)?.is_some();
        let (record, count) = (format!("{DIRECTORY}/{RECORD}"), format!("{DIRECTORY}/{COUNT}"));
        let read = of_file(&roots.sysroot, &record, RECORD_LIMIT)?;
        let record = read.and_then(|bytes| understood(&record, Record::parse(&bytes))).unwrap_or_default();
        let read = of_file(&roots.sysroot, &count, COUNT_SIZE as u64)?;
        let parsed = read.and_then(|bytes| understood(&count, Count::parse(&bytes)));
        Ok(Self { boot, is_attempt, record, needs_count: parsed.is_none(), count: parsed.flatten() })
    }

    /// The rollback that has happened: `list` begins with the default.
    pub fn rollback(&self, list: &[DeploymentPath], booted: &DeploymentPath) -> Option<Trial> {
        Situation { list, booted, record: &self.record, count: self.count.as_ref() }.rollback().cloned()
    }
}

/// The content; what is no file of this size is damaged.
fn of_file(root: &OwnedFd, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SystemError> {
    match dir::if_there(dir::read_no_link(root, path, limit)) {
        Err(Errno::FBIG | Errno::ISDIR | Errno::LOOP | Errno::INVAL) => Ok(Some(vec![u8::MAX])),
        other => other.context("read", format_args!("/{path}")),
    }
}

fn understood<T>(path: &str, parsed: Result<T, Damaged>) -> Option<T> {
    parsed.inspect_err(|error| log::warn!("/{path} is damaged, and says nothing: {error}")).ok()
}

/// The paths of a list, the default first.
pub(crate) fn paths(sysroot: &Sysroot) -> Vec<DeploymentPath> {
    sysroot.deployments.iter().map(|deployment| deployment.path.clone()).collect()
}

/// Writes down what is on trial now. A second run writes nothing.
///
/// # Errors
/// Something cannot be read or written. What was written before stays, or leads to nothing.
pub(crate) fn keep(roots: &Roots, sysroot: &Sysroot, naming: Naming) -> Result<(), Error> {
    let before = Attempts::read(roots)?;
    if before.boot.is_none() {
        return Ok(());
    }
    let list = paths(sysroot);
    let situation =
        Situation { list: &list, booted: &sysroot.booted, record: &before.record, count: before.count.as_ref() };
    let mut record = situation.record(|path| can_bless(roots, path))?;
    dir::make(&roots.sysroot, DIRECTORY, 0o755).context("make", format_args!("/{DIRECTORY}"))?;
    // Of a deployment that is gone: one of the same name would have no attempt left.
    let is_of_one_that_is_gone = before.count.as_ref().is_some_and(|count| !list.contains(&count.deployment));
    if before.needs_count || is_of_one_that_is_gone {
        write_file(roots, COUNT, &NOTHING_COUNTED)?;
    }
    let mut on_disk = before.record.clone();
    let mut has_list = match &mut record.trial {
        Some(trial) if situation.rollback().is_none() => keep_list(roots, sysroot, naming, &mut on_disk, trial)
            .unwrap_or_else(|error| {
                // With the same kernel the older one can be booted all the same.
                log::warn!("no list that begins with /{} is written: {error}", trial.fallback);
                trial.list = None;
                false
            }),
        Some(_) => true,
        None => false,
    };
    if roots.boot_is_separate && has_list {
        record.boot = boot_filesystem::found(roots)?;
        if let (None, Some(trial)) = (&record.boot, &mut record.trial) {
            trial.list = None;
            has_list = false;
        }
    }
    if record != on_disk {
        write_record(roots, &record)?;
    }
    if !has_list && let Err(error) = write::remove(roots) {
        log::warn!("{error}");
    }
    Ok(())
}

/// Writes down that a deployment which is about to become the default is on trial: without a list, which is written for the new one. It
/// says nothing about any other deployment. An error is a warning.
pub(crate) fn announce(roots: &Roots, sysroot: &Sysroot, new: &DeploymentPath) {
    let announced = || -> Result<(), SystemError> {
        let before = Attempts::read(roots)?;
        if before.boot.is_none() {
            return Ok(());
        }
        let mut list = paths(sysroot);
        list.retain(|path| path != new);
        list.insert(0, new.clone());
        let (booted, record) = (&sysroot.booted, &before.record);
        let situation = Situation { list: &list, booted, record, count: before.count.as_ref() };
        let mut record = situation.record(|path| can_bless(roots, path))?;
        if let Some(trial) = &mut record.trial {
            trial.list = None;
        }
        dir::make(&roots.sysroot, DIRECTORY, 0o755).context("make", format_args!("/{DIRECTORY}"))?;
        // Of one with the same name that was removed: this one has all its attempts.
        let is_of_another = before.count.is_some_and(|count| count.deployment == *new && sysroot.find(new).is_none());
        if before.needs_count || is_of_another {
            write_file(roots, COUNT, &NOTHING_COUNTED)?;
        }
        if record == before.record { Ok(()) } else { write_record(roots, &record) }
    };
    if let Err(error) = announced() {
        log::warn!("the attempts of /{new} are not counted: {error}");
    }
}

/// The same after a finalization has made another list the active one: an error is a warning then.
pub(crate) fn keep_after_swap(roots: &Roots) {
    let kept = || -> Result<(), Error> { keep(roots, &Sysroot::load(roots)?, SysrootOptions::of_environment().naming) };
    if let Err(error) = kept() {
        log::warn!("the attempts of the new deployment are not counted: {error}");
    }
}

/// Writes the list that begins with the older deployment, where it is needed. Returns whether there is one. `on_disk` is the record that is
/// there, before and afterwards.
fn keep_list(
    roots: &Roots,
    sysroot: &Sysroot,
    naming: Naming,
    on_disk: &mut Record,
    trial: &mut Trial,
) -> Result<bool, Error> {
    let active = list_digest::active(&roots.boot)?;
    let needs_list = match (sysroot.find(&trial.deployment), sysroot.find(&trial.fallback)) {
        (Some(new), Some(older)) => !boots_alike(new, older),
        _ => false,
    };
    let Some(active) = active.filter(|_| needs_list) else {
        // What the boot loader has loaded is what the older one needs: it is booted directly.
        trial.list = None;
        return Ok(false);
    };
    let is_current = || older_menu::is_current(roots, sysroot, &trial.fallback);
    if trial.list.as_ref() == Some(&active.digest) && is_there(roots)? && is_current() {
        return Ok(true);
    }
    if let Some(old) = on_disk.trial.as_mut().filter(|old| old.list.is_some()) {
        // Nothing may lead to it while it is written.
        old.list = None;
        write_record(roots, on_disk)?;
    }
    trial.list = write_list(roots, sysroot, naming, &trial.fallback)?.then_some(active.digest);
    Ok(trial.list.is_some())
}

/// Whether the boot loader loads the same for both, and says the same to the kernel.
fn boots_alike(new: &Deployment, older: &Deployment) -> bool {
    (&new.bootcsum, &new.overlay_initrds, &new.path.stateroot)
        == (&older.bootcsum, &older.overlay_initrds, &older.path.stateroot)
        && new.kargs.without_ostree() == older.kargs.without_ostree()
}

fn is_there(roots: &Roots) -> Result<bool, SystemError> {
    let path = format!("{}/entries", OLDER_LIST);
    Ok(dir::if_there(dir::open_directory(&roots.boot, &path)).context("open", format_args!("/boot/{path}"))?.is_some())
}

fn write_list(roots: &Roots, sysroot: &Sysroot, naming: Naming, first: &DeploymentPath) -> Result<bool, Error> {
    let mut list: Vec<ListedDeployment> = list::current(sysroot);
    for listed in &mut list {
        let warnings = listed.deployment.read_tree_of_one_that_stays(roots)?;
        warnings.iter().for_each(|warning| log::warn!("{warning}"));
    }
    let planned = plan::plan(sysroot, naming, list, first).and_then(|mut plan| {
        ask(roots, sysroot, &mut plan).map_err(|error| error.to_string())?;
        older_menu::add(roots, &mut plan)?;
        plan::why_not_read(&plan).map_or(Ok(plan), |reason| Err(reason.to_owned()))
    });
    let plan = match planned {
        Ok(plan) => plan,
        Err(reason) => {
            log::warn!(
                "if the default does not come up, /{first} boots in its place only with the same kernel, and with the default's arguments: {reason}"
            );
            return Ok(false);
        }
    };
    let labels = deployment::open(roots, first).and_then(|directory| Labels::of(directory, None))?;
    write::write(roots, &labels, &plan)?;
    Ok(true)
}

fn write_record(roots: &Roots, record: &Record) -> Result<(), SystemError> {
    write_file(roots, RECORD, record.to_string().as_bytes())
}

fn write_file(roots: &Roots, name: &str, bytes: &[u8]) -> Result<(), SystemError> {
    let shown = format_args!("/{DIRECTORY}/{name}");
    let directory = dir::open(&roots.sysroot, DIRECTORY, OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/{DIRECTORY}"))?;
    match dir::replace_file(&directory, name, bytes, 0o644) {
        // Something else has its name.
        Err(Errno::ISDIR) => {
            tree::remove(&directory, name.as_bytes()).and_then(|()| dir::replace_file(&directory, name, bytes, 0o644))
        }
        other => other,
    }
    .context("write", shown)
}

/// What a person, or a boot that was found to be good, says of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Good,
    /// What was counted counts no more: a rollback was told, or it is tried again.
    Forgotten,
}

/// Writes down a verdict about a deployment.
///
/// # Errors
/// Something cannot be read or written.
pub(crate) fn judge(roots: &Roots, path: &DeploymentPath, verdict: Verdict) -> Result<(), SystemError> {
    let Attempts { mut record, count, .. } = Attempts::read(roots)?;
    if verdict == Verdict::Good && !record.good.contains(path) {
        // First: with the count alone it would be on trial again.
        record.good.push(path.clone());
        record.trial = record.trial.filter(|trial| trial.deployment != *path);
        write_record(roots, &record)?;
    }
    if count.is_some_and(|count| count.deployment == *path) {
        write_file(roots, COUNT, &NOTHING_COUNTED)?;
    }
    Ok(())
}
