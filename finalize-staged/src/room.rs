//! Room in a `/boot` of its own. An estimate says only what certainly does not fit; whether the rest does is found out by
//! putting it there, under names that nothing leads to.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use system::dir;
use system::{Context, SystemError, tree};

use crate::boot_plan::Swap;
use crate::cleanup::{self, Current, Unreadable};
use crate::deployment_list::Listed;
use crate::error::Error;
use crate::finalization::Finalization;
use crate::install;
use crate::progress::{Phase, Progress};
use crate::roots::Roots;
use crate::staged::RunOstree;
use crate::transaction;

/// Bytes of `/boot`, in whole blocks. Entries and links are not in it: those that come take the place of those that go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// What the new kernel and what belongs to it take.
    pub(crate) needed: u64,
    /// What root may use; ext4 keeps 5 % of this from others.
    pub(crate) free: u64,
    /// What is set free when what goes has gone.
    pub(crate) freed: u64,
}

impl Count {
    /// Whether it may fit as it is. If not, it does not.
    pub(crate) fn may_fit(self) -> bool {
        self.needed <= self.free
    }

    /// Whether it may fit when what goes has gone.
    pub(crate) fn may_fit_after_removing(self) -> bool {
        self.freed > 0 && self.needed <= self.free.saturating_add(self.freed)
    }

    /// That it does not fit.
    pub(crate) fn error(self, plan: &Finalization) -> Error {
        Error::BootFull {
            needed: self.needed,
            available: self.free,
            freed: self.freed,
            deployment: plan.target.clone(),
        }
    }
}

/// Counts; `keeping` is the list without what goes.
pub(crate) fn count(roots: &Roots, plan: &Finalization, keeping: &Current) -> Result<Count, SystemError> {
    let stat = rustix::fs::fstatvfs(&roots.boot).context("look at", "/boot")?;
    let going = cleanup::removals(&cleanup::find(roots, Unreadable::IsAnError)?, keeping).boot;
    let freed = going.iter().map(|path| blocks(&roots.boot, path).context("look at", format_args!("/boot/{path}")));
    Ok(Count {
        needed: plan.files.bytes(),
        free: stat.f_bfree.saturating_mul(stat.f_frsize),
        freed: freed.sum::<Result<u64, SystemError>>()?,
    })
}

/// What has been put into `/boot` ahead of the transaction.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    /// Relative to `/boot`.
    paths: Vec<String>,
}

impl Reserved {
    /// Removes it again.
    pub(crate) fn give_up(&self, roots: &Roots) {
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

/// Puts kernel, initramfs and overlays into `/boot`, and where it is nearly full then, the entries, which are written again later.
/// After an error, `ENOSPC` for one, nothing of it is left, nor of what was prepared for it.
pub(crate) fn reserve(
    roots: &Roots,
    run: &RunOstree,
    plan: &mut Finalization,
    progress: &mut Progress,
) -> Result<Reserved, SystemError> {
    progress.enter(Phase::Kernel);
    let mut reserved = Reserved { paths: plan.files.new_paths() };
    let done = install::install(roots, Some(run), &plan.files, &mut || progress.step())
        .and_then(|()| reserve_entries(roots, plan, &mut reserved));
    match done {
        Ok(()) => {
            plan.files.are_installed = true;
            Ok(reserved)
        }
        Err(error) => {
            reserved.give_up(roots);
            Err(error)
        }
    }
}

fn reserve_entries(roots: &Roots, plan: &Finalization, reserved: &mut Reserved) -> Result<(), SystemError> {
    const PLENTY: u64 = 4 << 20;
    let stat = rustix::fs::fstatvfs(&roots.boot).context("look at", "/boot")?;
    let files = (plan.boot.entries.len() + plan.boot.foreign.kept.len()) as u64;
    let is_plenty = stat.f_bfree.saturating_mul(stat.f_frsize) > PLENTY.saturating_mul(1 + files / 100);
    if is_plenty || plan.boot.swap != Swap::Loader {
        return Ok(());
    }
    reserved.paths.push(transaction::loader_directory(&plan.boot));
    transaction::write_entries(roots, &plan.boot)
}

fn is_not_there(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}

/// What goes before the new deployment comes: nothing of what stays.
pub(crate) fn names(going: &[Listed], staying: &[Listed]) -> Vec<String> {
    let stays = |path| staying.iter().any(|listed| listed.deployment.path == path);
    going
        .iter()
        .map(|listed| listed.deployment.path.clone())
        .filter(|path| !stays(path.clone()))
        .map(|path| format!("/{path}"))
        .collect()
}

/// Whether it is for want of room.
pub(crate) fn is_full(error: &SystemError) -> bool {
    matches!(error.reason, Errno::NOSPC | Errno::DQUOT)
}

/// libostree's option for those who want an update to fail rather than to lose the deployment that it replaces.
pub(crate) fn is_told_not_to() -> bool {
    let options = std::env::var("OSTREE_SYSROOT_OPTS").unwrap_or_default();
    options.split([',', ';', ':', ' ', '\t']).any(|option| option == "no-early-prune")
}

/// The bytes in blocks of all that is at `path`, which are set free when it is removed.
fn blocks(root: &OwnedFd, path: &str) -> Result<u64, Errno> {
    let device = rustix::fs::fstat(root)?.st_dev;
    let (mut bytes, mut paths) = (0u64, vec![path.to_owned()]);
    while let Some(path) = paths.pop() {
        // `ostree` may be a link.
        let opened = match dir::open(root, &path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(opened) => opened,
            // It has gone, or is deeper than a path can be: it sets nothing free that counts.
            Err(Errno::NOENT | Errno::NAMETOOLONG) => continue,
            Err(error) => return Err(error),
        };
        let stat = rustix::fs::fstat(&opened)?;
        if stat.st_dev != device {
            continue;
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            paths.extend(dir::names(&opened, ".")?.iter().map(|name| format!("{path}/{name}")));
        } else if stat.st_nlink > 1 {
            continue;
        }
        bytes = bytes.saturating_add(stat.st_blocks.unsigned_abs().saturating_mul(512));
    }
    Ok(bytes)
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

    #[test]
    fn what_has_another_name_elsewhere_sets_nothing_free() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("a/file"), [1; 10_000]).unwrap();
        std::fs::write(root.path().join("a/linked"), [1; 10_000]).unwrap();
        std::fs::hard_link(root.path().join("a/linked"), root.path().join("linked")).unwrap();
        let opened = dir::open_root(root.path()).unwrap();
        let alone = blocks(&opened, "a/file").unwrap();
        assert!((8192..20_000).contains(&alone), "{alone}");
        let directory = blocks(&opened, "a").unwrap();
        assert!((alone..alone + 8192).contains(&directory), "{directory}");
        assert_eq!(blocks(&opened, "nothing"), Ok(0));
    }
}
