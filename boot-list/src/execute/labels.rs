//! Gives the new files in `/boot` their SELinux labels, before anything leads to them.
//!
//! libostree labels the files that it copies, and leaves directories, entries and links with the label of the directory that they are
//! made in. Here all of them get the label that the policy has for their path. It never fails: a label never stops an update.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_sysroot::Roots;
use ostree_sysroot::boot_contents::BootFiles;
use ostree_sysroot::boot_names::overlay_file;
use rustix::fs::OFlags;
use rustix::io::Errno;
use selinux_policy::Labels;
use system::dir::{self, Kind};
use system::tree::{TreeWalk, WalkEntry};

use crate::plan::BootPlan;
use crate::plan::swap::{LinkDirectory, Swap};

/// Labels what [`super::install`] and the boot loader's implementation have written for `plan`. A run that was killed before this may
/// have installed files, too: so all kernels of the list are looked at, and get a label if they have none.
pub fn label(roots: &Roots, labels: &Labels, plan: &BootPlan, files: &BootFiles) {
    if !labels.are_wanted() {
        return;
    }
    let new = Boot { root: &roots.boot, labels, which: Which::All };
    let there = Boot { which: Which::Missing, ..new };
    there.directory("ostree");
    let mut kernels: Vec<String> = Vec::new();
    for listed in &plan.list {
        let directory = listed.kernel_directory();
        if kernels.contains(&directory) {
            continue;
        }
        let is_new = files.installs.iter().any(|install| install.directory == directory);
        let boot = if is_new { &new } else { &there };
        boot.tree(&format!("ostree/{directory}"));
        kernels.push(directory);
    }
    for overlay in &plan.overlays {
        let path = format!("ostree/{}", overlay_file(overlay));
        if let Some((directory, _)) = path.rsplit_once('/') {
            there.directory(directory);
        }
        there.file(&path);
    }
    if plan.swap == Swap::Loader {
        let directory = plan.loader_directory();
        new.directory(&directory);
        new.directory(&format!("{directory}/entries"));
        plan.entries.iter().for_each(|entry| new.file(&format!("{directory}/{}", entry.path)));
        // Files of the boot loader.
        there.tree(&directory);
        labels.give_link_if_missing(&roots.boot, b"boot", b"/boot/boot");
    }
    for link in plan.swaps.iter().filter(|link| link.directory == LinkDirectory::Boot) {
        // Under the name that it will have.
        labels.give_link(&roots.boot, link.temporary().as_bytes(), format!("/boot/{}", link.name).as_bytes());
    }
}

/// Labels a list that is not active: `name` is its directory in `/boot`.
pub fn label_list(roots: &Roots, labels: &Labels, name: &str) {
    if labels.are_wanted() {
        Boot { root: &roots.boot, labels, which: Which::All }.tree(name);
    }
}

/// Which files get a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those that have none.
    Missing,
}

#[derive(Clone, Copy)]
struct Boot<'a> {
    root: &'a OwnedFd,
    labels: &'a Labels,
    which: Which,
}

impl Boot<'_> {
    fn give(&self, file: impl AsFd, path: &[u8], kind: Kind) {
        match self.which {
            Which::All => self.labels.give(file, path, kind),
            Which::Missing => self.labels.give_if_missing(file, path, kind),
        }
    }

    fn give_link(&self, directory: impl AsFd, name: &[u8], path: &[u8]) {
        match self.which {
            Which::All => self.labels.give_link(directory, name, path),
            Which::Missing => self.labels.give_link_if_missing(directory, name, path),
        }
    }

    /// A directory gets the label of its path.
    fn directory(&self, path: &str) {
        self.with(path, OFlags::RDONLY | OFlags::DIRECTORY, |directory| {
            self.give(directory, format!("/boot/{path}").as_bytes(), Kind::Directory);
        });
    }

    /// A file gets the label of its name in `/boot`, as libostree gives it, whatever directory it is in.
    fn file(&self, path: &str) {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        self.with(path, flags, |file| self.opened_file(file, path.as_bytes()));
    }

    fn opened_file(&self, file: OwnedFd, path: &[u8]) {
        // A second name of a file of the tree, whose label belongs to the tree.
        let is_second_name = rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_nlink > 1);
        if !is_second_name {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            self.give(file, &[b"/boot/", name].concat(), Kind::File);
        }
    }

    /// A directory and everything in it.
    fn tree(&self, path: &str) {
        self.directory(path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        self.with(path, flags, |directory| {
            let walked = TreeWalk::new(&directory).and_then(|mut walk| {
                while let Some(WalkEntry { path: inner, kind }) = walk.next_entry()? {
                    self.inside(path, &directory, &inner, kind);
                }
                Ok(())
            });
            if let Err(error) = walked {
                log::warn!("cannot label everything in /boot/{path}: {error}");
            }
        });
    }

    fn inside(&self, path: &str, directory: &OwnedFd, inner: &[u8], kind: Kind) {
        let shown = [b"/boot/", path.as_bytes(), b"/", inner].concat();
        let open = |flags| dir::open_plainly(directory, OsStr::from_bytes(inner), flags);
        // What cannot be opened keeps its label.
        match kind {
            Kind::Link => match inner.iter().rposition(|byte| *byte == b'/') {
                // The name of a link is looked up in the directory that it is in.
                Some(at) => {
                    let (parent, name) = inner.split_at(at);
                    if let Ok(parent) = dir::open_plainly(directory, OsStr::from_bytes(parent), OFlags::PATH) {
                        self.give_link(parent, name.get(1..).unwrap_or_default(), &shown);
                    }
                }
                None => self.give_link(directory, inner, &shown),
            },
            Kind::File => {
                if let Ok(file) = open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
                    self.opened_file(file, inner);
                }
            }
            Kind::Directory => {
                if let Ok(opened) = open(OFlags::RDONLY) {
                    self.give(opened, &shown, kind);
                }
            }
            Kind::Other => {}
        }
    }

    fn with(&self, path: &str, flags: OFlags, work: impl FnOnce(OwnedFd)) {
        match dir::open(self.root.as_fd(), path, flags) {
            Ok(opened) => work(opened),
            // It was not written, or another program has removed it.
            Err(Errno::NOENT) => {}
            Err(error) => log::warn!("cannot label /boot/{path}: {error}"),
        }
    }
}
