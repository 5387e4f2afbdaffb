//! The two files of a trial, the deployment that would boot in its place, and the lists in `/boot`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_formats::boot_attempts::{
    BootCount, COUNT, COUNT_SIZE, Count, DIRECTORY, OLDER_LIST, RECORD, RECORD_LIMIT, Record,
};
use ostree_formats::deployment::{DeploymentPath, Stateroot};
use ostree_sysroot::list_digest::{self, ActiveList};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir, tree};

use super::deployments;
use super::physical_root::PhysicalRoot;
use crate::facts::{Attempts, Fallback, Lists};

const BOOT_COUNT_LIMIT: u64 = 1 << 12;

/// Reads both files; or why this boot cannot be counted.
pub(crate) fn read(physical: &PhysicalRoot) -> Result<Attempts, String> {
    let Some(record) = of_file(physical, RECORD, RECORD_LIMIT)? else { return Ok(Attempts::default()) };
    let record = Record::parse(&record).map_err(|error| damaged(RECORD, &error))?;
    if record.trial.is_none() {
        return Ok(Attempts { record, ..Attempts::default() });
    }
    let size = u64::try_from(COUNT_SIZE).unwrap_or(u64::MAX);
    let Some(count) = of_file(physical, COUNT, size)? else {
        return Err(format!("/{DIRECTORY}/{COUNT} does not exist: firstroot esp sync"));
    };
    let count = Count::parse(&count).map_err(|error| damaged(COUNT, &error))?;
    Ok(Attempts { record, count, of_this_boot: of_this_boot() })
}

/// What cannot be read says nothing: then one boot counts twice.
fn of_this_boot() -> Option<u32> {
    let run = dir::open_root(Path::new("/run")).ok()?;
    BootCount::parse(&dir::read_no_link(run, "ostree/boot-count", BOOT_COUNT_LIMIT).ok()?).ok()?.attempt
}

fn of_file(physical: &PhysicalRoot, name: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let path = format!("{DIRECTORY}/{name}");
    match dir::read_no_link(physical, &path, limit) {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some).map_err(|error| format!("cannot read /{path}: {error}")),
    }
}

fn damaged(name: &str, error: &dyn std::fmt::Display) -> String {
    format!("/{DIRECTORY}/{name} is damaged: {error}; to write it anew: firstroot esp sync")
}

/// Looks up what could boot in place of the one on trial. `stateroot`: what `ostree=` names.
pub(crate) fn fallback(
    physical: &PhysicalRoot,
    path: &DeploymentPath,
    stateroot: &Stateroot,
) -> Result<Fallback, String> {
    let has_this_stateroot = path.stateroot == *stateroot;
    let cannot = |path: &str, error: Errno| format!("cannot look up /{path}: {error}");
    let place = path.to_string();
    let directory = dir::if_there(dir::open_directory(physical, &place)).map_err(|error| cannot(&place, error))?;
    let Some(directory) = directory else {
        return Ok(Fallback { exists: false, has_this_kernel: false, has_this_stateroot });
    };
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let is_there = |path: &str| {
        let found = dir::if_there(dir::open_directory(directory.as_fd(), path));
        found.map(|found| found.is_some()).map_err(|error| cannot(&format!("{place}/{path}"), error))
    };
    // What a removal that was cut has left is no deployment.
    let exists = is_there("usr")?;
    Ok(Fallback { exists, has_this_kernel: is_there(&format!("usr/lib/modules/{kernel}"))?, has_this_stateroot })
}

/// Without its file a boot loader would not start.
const OF_BOOT_LOADERS: [&str; 3] = ["grub.cfg", "syslinux.cfg", "uEnv.txt"];

/// Reads both lists of `boot`.
pub(crate) fn lists(physical: &PhysicalRoot, boot: &OwnedFd) -> Result<Lists, SystemError> {
    let older = format!("/boot/{OLDER_LIST}");
    let active = list_digest::active(boot)?;
    let list = tree::open(boot, OLDER_LIST.as_bytes()).context("open", &older)?;
    let entries = dir::open(&list, "entries", OFlags::RDONLY | OFlags::DIRECTORY);
    let entries = entries.context("open", format_args!("{older}/entries"))?;
    let mut missing = None;
    if let Some(ActiveList { directory, .. }) = &active {
        let directory = tree::open(boot, directory.as_bytes()).context("open", format_args!("/boot/{directory}"))?;
        for name in OF_BOOT_LOADERS {
            let is_there = |list: &OwnedFd| {
                dir::stat_name(list, name).context("read the attributes of", format_args!("/boot/…/{name}"))
            };
            if is_there(&directory)?.is_some() && is_there(&list)?.is_none() {
                missing = Some(name);
            }
        }
    }
    Ok(Lists { active, default_of_older: deployments::default_of(physical, entries.as_fd()), missing })
}
