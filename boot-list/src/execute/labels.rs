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

/// Labels what [`super::install`] and the boot loader's implementation have written for `plan`.
pub fn label(roots: &Roots, labels: &Labels, plan: &BootPlan, files: &BootFiles) {
    if !labels.are_wanted() {
        return;
    }
    let boot = Boot { root: &roots.boot, labels };
    boot.give_if_missing("ostree");
    for install in &files.installs {
        boot.tree(&format!("ostree/{}", install.directory));
    }
    for overlay in &files.overlays {
        let path = format!("ostree/{}", overlay_file(&overlay.checksum));
        if let Some((directory, _)) = path.rsplit_once('/') {
            boot.give_if_missing(directory);
        }
        boot.file(&path);
    }
    if plan.swap == Swap::Loader {
        let directory = plan.loader_directory();
        boot.give(&directory);
        boot.give(&format!("{directory}/entries"));
        plan.entries.iter().for_each(|entry| boot.file(&format!("{directory}/{}", entry.path)));
        labels.give_link_if_missing(&roots.boot, b"boot", b"/boot/boot");
    }
    for link in plan.swaps.iter().filter(|link| link.directory == LinkDirectory::Boot) {
        // Under the name that it will have.
        labels.give_link(&roots.boot, link.temporary().as_bytes(), format!("/boot/{}", link.name).as_bytes());
    }
}

struct Boot<'a> {
    root: &'a OwnedFd,
    labels: &'a Labels,
}

impl Boot<'_> {
    /// A directory gets the label of its path.
    fn give(&self, path: &str) {
        self.with(path, OFlags::RDONLY | OFlags::DIRECTORY, |directory| {
            self.labels.give(directory, format!("/boot/{path}").as_bytes(), Kind::Directory);
        });
    }

    fn give_if_missing(&self, path: &str) {
        self.with(path, OFlags::RDONLY | OFlags::DIRECTORY, |directory| {
            self.labels.give_if_missing(directory, format!("/boot/{path}").as_bytes(), Kind::Directory);
        });
    }

    /// A file gets the label of its name in `/boot`, as libostree gives it, whatever directory it is in.
    fn file(&self, path: &str) {
        self.with(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, |file| {
            self.opened_file(file, path.as_bytes())
        });
    }

    fn opened_file(&self, file: OwnedFd, path: &[u8]) {
        // A second name of a file of the tree, whose label belongs to the tree.
        let is_second_name = rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_nlink > 1);
        if !is_second_name {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            self.labels.give(file, &[b"/boot/", name].concat(), Kind::File);
        }
    }

    /// A directory and everything in it.
    fn tree(&self, path: &str) {
        self.give(path);
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
        match kind {
            Kind::Link => match inner.iter().rposition(|byte| *byte == b'/') {
                // The name of a link is looked up in the directory that it is in.
                Some(at) => {
                    let (parent, name) = inner.split_at(at);
                    if let Ok(parent) = dir::open_plainly(directory, OsStr::from_bytes(parent), OFlags::PATH) {
                        self.labels.give_link(parent, name.get(1..).unwrap_or_default(), &shown);
                    }
                }
                None => self.labels.give_link(directory, inner, &shown),
            },
            Kind::File => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
                if let Ok(file) = dir::open_plainly(directory, OsStr::from_bytes(inner), flags) {
                    self.opened_file(file, inner);
                }
            }
            Kind::Directory => {
                if let Ok(opened) = dir::open_plainly(directory, OsStr::from_bytes(inner), OFlags::RDONLY) {
                    self.labels.give(opened, &shown, kind);
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
