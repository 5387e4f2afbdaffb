//! Boot loaders that read entries through the link `boot/loader`, and boot through the boot links that the entries name: GRUB with
//! `blscfg`, systemd-boot and others. syslinux and U-Boot are among them: their file is one more beside the entries, and is swapped
//! with them. Only links are swapped.

use std::os::fd::{AsFd, OwnedFd};

use ostree_sysroot::Roots;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use system::dir::{self, write_all};
use system::{Context, SystemError, tree};

use super::BootLoader;
use crate::execute::exchange::exchange;
use crate::execute::{kept_files, sabotage};
use crate::plan::BootPlan;
use crate::plan::swap::{LinkDirectory, Swap, SwapLink};
use crate::plan::written::Written;
use crate::watcher::MenuIsOld;

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// Entries in `boot/loader.N`, boot links in `ostree/boot.N.S`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Links;

impl BootLoader for Links {
    fn write(
        &self,
        roots: &Roots,
        plan: &BootPlan,
        _progress: &mut dyn FnMut(),
    ) -> Result<Option<MenuIsOld>, SystemError> {
        let ostree = open_ostree(roots)?;
        write_links(&ostree, plan)?;
        if plan.swap == Swap::Loader && !sabotage::is_on("entries-in-place") {
            write_entries(roots, plan)?;
        }
        for link in &plan.swaps {
            prepare(roots, &ostree, link)?;
        }
        // All but the last: no active file leads to them yet.
        if let [inner @ .., _] = plan.swaps.as_slice() {
            inner.iter().try_for_each(|link| exchange_link(roots, &ostree, link))?;
        }
        Ok(None)
    }

    fn swap(&self, roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
        if let Some(link) = plan.swaps.last() {
            exchange_link(roots, &open_ostree(roots)?, link)?;
        }
        if plan.swap == Swap::Loader && sabotage::is_on("entries-in-place") {
            write_entries(roots, plan)?;
        }
        Ok(())
    }

    fn follow(&self, roots: &Roots, plan: &BootPlan) -> bool {
        if plan.swap == Swap::Loader {
            let old = format!("loader.{}", plan.bootversion.other());
            kept_files::move_the_rest(roots, &old, &plan.foreign.kept);
        }
        false
    }

    fn take_back(&self, roots: &Roots, plan: &BootPlan) -> Vec<String> {
        let mut failed = Vec::new();
        let mut remove = |directory: &OwnedFd, name: &str| {
            failed.extend(tree::remove(directory, name.as_bytes()).err().map(|error| format!("{name}: {error}")));
        };
        let ostree = open_ostree(roots);
        for link in &plan.swaps {
            match (link.directory, &ostree) {
                (LinkDirectory::Boot, _) => remove(&roots.boot, &link.temporary()),
                (LinkDirectory::Ostree, Ok(ostree)) => remove(ostree, &link.temporary()),
                (LinkDirectory::Ostree, Err(_)) => {}
            }
        }
        if let Ok(ostree) = &ostree {
            if plan.swap == Swap::Loader {
                remove(ostree, &format!("boot.{}", plan.bootversion));
            }
            remove(ostree, &plan.links_directory());
        }
        if plan.swap == Swap::Loader {
            remove(&roots.boot, &plan.loader_directory());
        }
        failed.extend(ostree.err().map(|error| error.to_string()));
        failed
    }
}

/// Writes the boot links, in a directory that nothing leads to.
fn write_links(ostree: &OwnedFd, plan: &BootPlan) -> Result<(), SystemError> {
    let name = plan.links_directory();
    let shown = format!("/ostree/{name}");
    tree::remove(ostree, name.as_bytes()).context("remove", &shown)?;
    let make = |path: &str| rustix::fs::mkdirat(ostree, path, DIRECTORY_MODE).or_else(exists_already);
    make(&name).context("make", &shown)?;
    for Written { path, content } in &plan.links {
        for (at, _) in path.match_indices('/') {
            let directory = format!("{name}/{}", path.get(..at).unwrap_or_default());
            make(&directory).context("make", format_args!("/ostree/{directory}"))?;
        }
        rustix::fs::symlinkat(content.as_str(), ostree, format!("{name}/{path}"))
            .context("make the boot link", format_args!("{shown}/{path}"))?;
    }
    Ok(())
}

/// Writes all entries of the other bootversion, and the boot loader's file.
///
/// # Errors
/// A file cannot be written.
pub fn write_entries(roots: &Roots, plan: &BootPlan) -> Result<(), SystemError> {
    write_list(roots, plan, &plan.loader_directory())
}

/// The same in another directory of `/boot`.
pub(crate) fn write_list(roots: &Roots, plan: &BootPlan, name: &str) -> Result<(), SystemError> {
    let shown = format!("/boot/{name}");
    tree::remove(&roots.boot, name.as_bytes()).context("remove", &shown)?;
    for directory in [name.to_owned(), format!("{name}/entries")] {
        rustix::fs::mkdirat(&roots.boot, &directory, DIRECTORY_MODE)
            .context("make", format_args!("/boot/{directory}"))?;
    }
    // With this link, paths with and without `/boot` lead to the same file.
    rustix::fs::symlinkat(".", &roots.boot, "boot").or_else(exists_already).context("make the link", "/boot/boot")?;
    let loader = tree::open(&roots.boot, name.as_bytes()).context("open", &shown)?;
    let entries = plan.entries.iter().map(|entry| (entry.path.as_str(), entry.content.as_bytes(), FILE_MODE));
    let file = plan.loader_file.iter();
    let file = file.map(|file| (file.name, file.content.as_slice(), Mode::from_raw_mode(file.mode)));
    for (path, content, mode) in entries.chain(file) {
        write_file(&loader, path, content, mode).context("write", format_args!("{shown}/{path}"))?;
    }
    kept_files::keep(roots, &loader, &plan.foreign.kept)
}

fn write_file(directory: &OwnedFd, path: &str, content: &[u8], mode: Mode) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    write_all(rustix::fs::openat(directory, path, flags, mode)?, content)
}

/// Puts a link to the new target beside `link`.
fn prepare(roots: &Roots, ostree: &OwnedFd, link: &SwapLink) -> Result<(), SystemError> {
    let (directory, name) = (directory(roots, ostree, link), link.temporary());
    tree::remove(directory, name.as_bytes())
        .and_then(|()| rustix::fs::symlinkat(&link.target, directory, &name))
        .context("make the link", link.shown(&name))
}

fn exchange_link(roots: &Roots, ostree: &OwnedFd, link: &SwapLink) -> Result<(), SystemError> {
    let directory = directory(roots, ostree, link);
    exchange(directory.as_fd(), &link.temporary(), &link.name).context("swap", link.shown(&link.name))
}

fn directory<'a>(roots: &'a Roots, ostree: &'a OwnedFd, link: &SwapLink) -> &'a OwnedFd {
    match link.directory {
        LinkDirectory::Boot => &roots.boot,
        LinkDirectory::Ostree => ostree,
    }
}

/// `/ostree` of the physical root.
pub(crate) fn open_ostree(roots: &Roots) -> Result<OwnedFd, SystemError> {
    dir::open(&roots.sysroot, "ostree", OFlags::RDONLY | OFlags::DIRECTORY).context("open", "/sysroot/ostree")
}

fn exists_already(error: Errno) -> Result<(), Errno> {
    if error == Errno::EXIST { Ok(()) } else { Err(error) }
}
