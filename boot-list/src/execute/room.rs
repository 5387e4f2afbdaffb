//! Room in a `/boot` that is a filesystem of its own. An estimate only finds what certainly does not fit. Whether the rest fits is
//! tried: the files are put there under names that no entry uses.

use std::os::fd::OwnedFd;

use ostree_sysroot::boot_contents::BootFiles;
use ostree_sysroot::leftovers::{self, Unreadable};
use ostree_sysroot::{Roots, free_space};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError, tree};

use super::install;
use crate::loader::links;
use crate::plan::BootPlan;
use crate::plan::removals::{Current, removals};
use crate::plan::swap::Swap;
use crate::watcher::{Phase, Watcher};

/// Bytes of `/boot`, in whole blocks, without entries and links: the new ones need the room of the old ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Needed by the new kernel and its files.
    pub needed: u64,
    /// Free for root; ext4 reserves 5 % of the filesystem for root.
    pub free: u64,
    /// Freed by removing what is unused.
    pub freed: u64,
}

impl Count {
    /// Whether the files may fit without removing anything. `false` is certain, `true` is not.
    pub fn may_fit(self) -> bool {
        self.needed <= self.free
    }

    /// Whether the files may fit after unused files are removed.
    pub fn may_fit_after_removing(self) -> bool {
        self.freed > 0 && self.needed <= self.free.saturating_add(self.freed)
    }
}

/// Counts the bytes of `files`; `keeping` is the list without the deployments that are removed.
///
/// # Errors
/// The attributes of a file cannot be read.
pub fn count(roots: &Roots, files: &BootFiles, keeping: &Current) -> Result<Count, SystemError> {
    let going = removals(&leftovers::find(roots, Unreadable::IsAnError)?, keeping).boot;
    let freed = going.iter().map(|path| {
        free_space::blocks(&roots.boot, path).context("read the attributes of", format_args!("/boot/{path}"))
    });
    Ok(Count {
        needed: files.bytes(),
        free: free_space::of_boot(roots)?,
        freed: freed.sum::<Result<u64, SystemError>>()?,
    })
}

/// Files that were put into `/boot` before the transaction.
#[derive(Debug, Default)]
pub struct Reserved {
    /// Relative to `/boot`.
    paths: Vec<String>,
}

impl Reserved {
    /// Removes them again.
    pub fn give_up(&self, roots: &Roots) {
        for path in &self.paths {
            let removed = match path.rsplit_once('/') {
                Some((parent, name)) => dir::open(&roots.boot, parent, OFlags::RDONLY | OFlags::DIRECTORY)
                    .and_then(|parent| tree::remove(parent, name.as_bytes())),
                None => tree::remove(&roots.boot, path.as_bytes()),
            };
            if let Err(error) = removed.or_else(is_not_there) {
                log::warn!("cannot remove /boot/{path}: {error}; the next update removes it");
            }
        }
    }
}

/// Puts kernel, initramfs and overlays into `/boot`. If `/boot` is nearly full then, it also writes the entries, as a test: they
/// are written again later.
///
/// # Errors
/// A file cannot be written, for example `ENOSPC`. All of these files are removed then, also those that `--prepare` had copied.
pub fn reserve(
    roots: &Roots,
    overlays: Option<&OwnedFd>,
    plan: &BootPlan,
    files: &mut BootFiles,
    watcher: &mut dyn Watcher,
) -> Result<Reserved, SystemError> {
    watcher.enter(Phase::Kernel);
    let mut reserved = Reserved { paths: files.new_paths() };
    let done = install::install(roots, overlays, files, &mut || watcher.step())
        .and_then(|()| reserve_entries(roots, plan, &mut reserved));
    match done {
        Ok(()) => {
            files.are_installed = true;
            Ok(reserved)
        }
        Err(error) => {
            reserved.give_up(roots);
            Err(error)
        }
    }
}

fn reserve_entries(roots: &Roots, plan: &BootPlan, reserved: &mut Reserved) -> Result<(), SystemError> {
    const PLENTY: u64 = 4 << 20;
    let files = (plan.entries.len() + plan.foreign.kept.len()) as u64;
    let is_plenty = free_space::of_boot(roots)? > PLENTY.saturating_mul(1 + files / 100);
    if is_plenty || plan.swap != Swap::Loader {
        return Ok(());
    }
    reserved.paths.push(plan.loader_directory());
    links::write_entries(roots, plan)
}

fn is_not_there(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}

/// Whether the reason of an error is a full disk.
pub fn is_full(error: &SystemError) -> bool {
    matches!(error.reason, Errno::NOSPC | Errno::DQUOT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_of_the_same_size_fits_into_the_place_of_an_old_one() {
        let count = Count { needed: 6 << 20, free: 0, freed: 6 << 20 };
        assert!(!count.may_fit() && count.may_fit_after_removing());
        let larger = Count { needed: (6 << 20) + 1, ..count };
        assert!(!larger.may_fit_after_removing());
        assert!(!Count { needed: 0, free: 0, freed: 0 }.may_fit_after_removing(), "nothing goes");
    }
}
