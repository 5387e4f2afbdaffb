//! The swap: how a new list of deployments comes to count, whatever happens on the way.
//!
//! 1. **Write.** Everything goes to names that nothing leads to yet: `loader.M`, `boot.M.S` or `boot.N.T`, directories of
//!    kernels that no entry names. A power cut leaves rubbish, and the old list.
//! 2. **Sync.** The physical root first: boot links and `/etc` are there before anything leads to them. Then `/boot`, through its
//!    journal, since boot loaders read ext4 and XFS without replaying it.
//! 3. **Swap.** One link changes its place with another one, prepared beside it (`RENAME_EXCHANGE`). Replacing the old link would
//!    free its inode, and the cleared inode can reach the disk before the directory does: a boot loader would find no link
//!    at all. Exchanged, both names lead to a whole set at every instant.
//! 4. **Sync** again. From here on the new list counts, power cut or not.
//! 5. **Clean**, which is [`crate::cleanup`]'s: only now does the old link go.
//!
//! Before the swap every error is taken back as far as possible; after it nothing is an error any more.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use system::dir::{self, write_all};
use system::{Context, SystemError, tree};

use crate::boot_files::BootFiles;
use crate::boot_plan::{BootPlan, Swap, Written};
use crate::durability;
use crate::install;
use crate::kept_files;
use crate::progress::{Phase, Progress};
use crate::roots::Roots;
use crate::sabotage;
use crate::staged::RunOstree;
use crate::stamp::Stamp;

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// How a swap ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Swapped {
    /// The new list counts, power cut or not.
    Durably,
    /// The new list counts; after a power cut the old one may, so what only it needs must stay.
    NotYetDurably,
}

/// Does it. An error means that the old list counts, as before.
pub(crate) fn run(
    roots: &Roots,
    run: Option<&RunOstree>,
    plan: &BootPlan,
    files: &BootFiles,
    progress: &mut Progress,
    stamp: &mut Stamp,
) -> Result<Swapped, SystemError> {
    write(roots, run, plan, files, progress, stamp).inspect_err(|_| take_back(roots, plan, files))?;
    progress.enter(Phase::Swap);
    swap(roots, plan).inspect_err(|_| take_back(roots, plan, files))?;
    // No state of the disk may have the old list and no stamp. Both are on one filesystem where the loader's link is swapped,
    // whose order is kept; elsewhere the swap is on the disk before the stamp goes.
    let synced = match plan.swap {
        Swap::Loader => {
            stamp.remove(roots);
            durability::everything(roots).map(drop)
        }
        Swap::Bootlinks => durability::physical_root(roots).and_then(|()| {
            stamp.remove(roots);
            durability::stamp(roots)
        }),
    };
    match synced {
        Ok(()) => {
            if plan.swap == Swap::Loader {
                let old = format!("loader.{}", plan.bootversion.other());
                kept_files::move_the_rest(roots, &old, &plan.foreign.kept);
            }
            Ok(Swapped::Durably)
        }
        Err(error) => {
            log::warn!("the update is in place, but {error}: what only the old list needs stays until the next update");
            Ok(Swapped::NotYetDurably)
        }
    }
}

/// Steps 1 and 2.
fn write(
    roots: &Roots,
    run: Option<&RunOstree>,
    plan: &BootPlan,
    files: &BootFiles,
    progress: &mut Progress,
    stamp: &mut Stamp,
) -> Result<(), SystemError> {
    settle(roots, plan)?;
    progress.enter(Phase::Kernel);
    stamp.update("installing the kernel");
    install::install(roots, run, files, &mut || progress.step())?;
    progress.enter(Phase::Entries);
    stamp.update("writing boot loader entries");
    write_links(roots, plan)?;
    if plan.swap == Swap::Loader && !sabotage::is_on("entries-in-place") {
        write_entries(roots, plan)?;
    }
    prepare_link(swapped_in(roots, plan), &link(plan), &target(plan))?;
    progress.enter(Phase::Sync);
    stamp.update("writing everything to the disk");
    match plan.swap {
        Swap::Loader => {
            // Of the other bootversion: nothing that counts leads there yet.
            let boot_link = format!("boot.{}", plan.bootversion);
            let ostree = open_ostree(roots)?;
            exchange(ostree.as_fd(), &temporary(&boot_link), &boot_link)
                .context("swap", format_args!("/ostree/{boot_link}"))?;
            durability::everything(roots).map(drop)
        }
        Swap::Bootlinks => {
            // A kernel may have been repaired.
            if !files.installs.is_empty() {
                durability::boot(roots)?;
            }
            durability::physical_root(roots)
        }
    }
}

/// A run that was killed may have swapped: what is written over from now on is what the disk may still call current. What tells
/// of such a run is a link that it prepared.
pub(crate) fn settle(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    let in_boot = dir::stat_name(&roots.boot, "loader.tmp").context("look at", "/boot/loader.tmp")?;
    let name = temporary(&link(plan));
    let in_ostree =
        dir::stat_name(open_ostree(roots)?, &name).context("look at", format_args!("/sysroot/ostree/{name}"))?;
    if in_boot.or(in_ostree).is_some() {
        durability::everything(roots)?;
    }
    Ok(())
}

/// Step 3.
fn swap(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    let link = link(plan);
    let result = match plan.swap {
        Swap::Loader => exchange(roots.boot.as_fd(), &temporary(&link), &link),
        Swap::Bootlinks => exchange(open_ostree(roots)?.as_fd(), &temporary(&link), &link),
    };
    result.context("swap", shown_link(plan))?;
    if plan.swap == Swap::Loader && sabotage::is_on("entries-in-place") {
        write_entries(roots, plan)?;
    }
    Ok(())
}

/// The link whose change makes the list count.
fn link(plan: &BootPlan) -> String {
    match plan.swap {
        Swap::Loader => "loader".to_owned(),
        Swap::Bootlinks => format!("boot.{}", plan.bootversion),
    }
}

fn target(plan: &BootPlan) -> String {
    match plan.swap {
        Swap::Loader => loader_directory(plan),
        Swap::Bootlinks => links_directory(plan),
    }
}

/// Where that link is.
fn swapped_in<'a>(roots: &'a Roots, plan: &BootPlan) -> Where<'a> {
    match plan.swap {
        Swap::Loader => Where::Boot(&roots.boot),
        Swap::Bootlinks => Where::Ostree(roots),
    }
}

enum Where<'a> {
    Boot(&'a OwnedFd),
    Ostree(&'a Roots),
}

fn shown_link(plan: &BootPlan) -> String {
    let link = link(plan);
    match plan.swap {
        Swap::Loader => format!("/boot/{link}"),
        Swap::Bootlinks => format!("/ostree/{link}"),
    }
}

/// The name of the directory of the entries of `plan` in `/boot`.
pub(crate) fn loader_directory(plan: &BootPlan) -> String {
    format!("loader.{}", plan.bootversion)
}

fn links_directory(plan: &BootPlan) -> String {
    format!("boot.{}.{}", plan.bootversion, plan.subbootversion)
}

/// The name that a link is prepared under, as libostree does: it removes one that was left over, too.
fn temporary(link: &str) -> String {
    format!("{link}.tmp")
}

/// The boot links, and with new entries the link to their directory, under another name.
fn write_links(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    let ostree = open_ostree(roots)?;
    let name = links_directory(plan);
    let shown = format!("/ostree/{name}");
    tree::remove(&ostree, name.as_bytes()).context("remove", &shown)?;
    let make = |path: &str| rustix::fs::mkdirat(&ostree, path, DIRECTORY_MODE).or_else(exists_already);
    make(&name).context("make", &shown)?;
    for Written { path, content } in &plan.links {
        for (at, _) in path.match_indices('/') {
            let directory = format!("{name}/{}", path.get(..at).unwrap_or_default());
            make(&directory).context("make", format_args!("/ostree/{directory}"))?;
        }
        rustix::fs::symlinkat(content.as_str(), &ostree, format!("{name}/{path}"))
            .context("make the boot link", format_args!("{shown}/{path}"))?;
    }
    match plan.swap {
        Swap::Loader => prepare_link(Where::Ostree(roots), &format!("boot.{}", plan.bootversion), &name),
        Swap::Bootlinks => Ok(()),
    }
}

/// All entries of the other bootversion, from scratch.
pub(crate) fn write_entries(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    let name = loader_directory(plan);
    let shown = format!("/boot/{name}");
    tree::remove(&roots.boot, name.as_bytes()).context("remove", &shown)?;
    for directory in [name.clone(), format!("{name}/entries")] {
        rustix::fs::mkdirat(&roots.boot, &directory, DIRECTORY_MODE)
            .context("make", format_args!("/boot/{directory}"))?;
    }
    // So that paths with and without `/boot` lead to the same file.
    rustix::fs::symlinkat(".", &roots.boot, "boot").or_else(exists_already).context("make the link", "/boot/boot")?;
    let loader = tree::open(&roots.boot, name.as_bytes()).context("open", &shown)?;
    for Written { path, content } in &plan.entries {
        write_file(&loader, path, content.as_bytes()).context("write", format_args!("{shown}/{path}"))?;
    }
    kept_files::keep(roots, &loader, &plan.foreign.kept)
}

fn write_file(directory: &OwnedFd, path: &str, content: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    write_all(rustix::fs::openat(directory, path, flags, FILE_MODE)?, content)
}

/// Puts a link to `target` beside `link`.
fn prepare_link(place: Where<'_>, link: &str, target: &str) -> Result<(), SystemError> {
    let name = temporary(link);
    let (opened, shown) = match place {
        Where::Boot(_) => (None, format!("/boot/{name}")),
        Where::Ostree(roots) => (Some(open_ostree(roots)?), format!("/ostree/{name}")),
    };
    let directory = match (&opened, &place) {
        (Some(directory), _) => directory,
        (None, Where::Boot(boot)) => boot,
        (None, Where::Ostree(roots)) => &roots.sysroot,
    };
    tree::remove(directory, name.as_bytes())
        .and_then(|()| rustix::fs::symlinkat(target, directory, &name))
        .context("make the link", shown)
}

/// Gives `link` the place of `new`, and the other way round; where `link` is not there yet, renames.
pub(crate) fn exchange(directory: impl AsFd, new: &str, link: &str) -> Result<(), Errno> {
    let directory = directory.as_fd();
    if sabotage::is_on("link-not-atomic") {
        rustix::fs::unlinkat(directory, link, AtFlags::empty()).or_else(is_not_there)?;
        // Time for it to reach the disk, as on a machine with much to write.
        rustix::fs::syncfs(directory)?;
        return rustix::fs::renameat(directory, new, directory, link);
    }
    if sabotage::is_on("rename") {
        return rustix::fs::renameat(directory, new, directory, link);
    }
    match rustix::fs::renameat_with(directory, new, directory, link, RenameFlags::EXCHANGE) {
        // Nothing to exchange it with, or a filesystem that cannot.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            rustix::fs::renameat(directory, new, directory, link)
        }
        other => other,
    }
}

/// Removes what was written for a list that does not count, so that on a full disk there is as much room as before.
fn take_back(roots: &Roots, plan: &BootPlan, files: &BootFiles) {
    let mut failed = Vec::new();
    let mut remove = |directory: BorrowedFd<'_>, name: &str| {
        failed.extend(tree::remove(directory, name.as_bytes()).err().map(|error| format!("{name}: {error}")));
    };
    if let Ok(ostree) = open_ostree(roots) {
        remove(ostree.as_fd(), &temporary(&format!("boot.{}", plan.bootversion)));
        if plan.swap == Swap::Loader {
            remove(ostree.as_fd(), &format!("boot.{}", plan.bootversion));
        }
        remove(ostree.as_fd(), &links_directory(plan));
    }
    if plan.swap == Swap::Loader {
        remove(roots.boot.as_fd(), &temporary("loader"));
        remove(roots.boot.as_fd(), &loader_directory(plan));
    }
    if let Ok(Some(directory)) = roots.boot_ostree() {
        let new = files.installs.iter().filter(|install| install.way != crate::boot_files::Way::Repair);
        for install in new {
            remove(directory.as_fd(), &install.directory);
        }
        for overlay in &files.overlays {
            remove(directory.as_fd(), &crate::boot_plan::overlay_file(&overlay.checksum));
        }
    }
    if !failed.is_empty() {
        log::warn!("could not remove what was written for it: {}", failed.join(", "));
    }
}

/// `/ostree` of the physical root.
fn open_ostree(roots: &Roots) -> Result<OwnedFd, SystemError> {
    dir::open(&roots.sysroot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/sysroot/ostree")
}

fn exists_already(error: Errno) -> Result<(), Errno> {
    if error == Errno::EXIST { Ok(()) } else { Err(error) }
}

fn is_not_there(error: Errno) -> Result<(), Errno> {
    if error == Errno::NOENT { Ok(()) } else { Err(error) }
}
