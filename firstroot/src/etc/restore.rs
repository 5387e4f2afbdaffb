//! `etc restore`: takes the vendor's file with all its attributes. The machine's is kept beside it.
//!
//! The new file is complete and durable before it gets the name, by a rename. Killed at any time, the name leads to the one or the
//! other file. Nothing is followed through a link, and nothing is a second name of a file of the repository.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use ostree_sysroot::deployment;
use rustix::fs::{Mode, RenameFlags};
use rustix::io::Errno;
use selinux_policy::Labels;
use serde::Serialize;
use system::copy::{self, Copier};
use system::dir::Kind;
use system::tree;

use super::saved::save;
use super::special::{self, Special};
use super::status::{Change, items};
use super::trees::{EtcTrees, Tree, is_at_or_below, join, open_directory, relative, shown, split};
use super::unlisted;
use crate::exit_status::{FAILED, SUCCESS, Status};
use crate::place::Place;
use crate::show::page::{Page, Style};
use crate::show::print;

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// The staged tree's file, not the booted one's.
    pub(super) staged: bool,
    /// The machine's file is not kept.
    pub(super) discard: bool,
    pub(super) json: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Restored {
    path: String,
    /// Where the machine's is now.
    saved: Option<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Shown {
    restored: Vec<Restored>,
    /// Asked for, and as shipped already.
    unchanged: Vec<String>,
    /// Files in a directory that was asked for, which only this machine has.
    left: Vec<String>,
    /// Devices, fifos and sockets in a directory that was asked for.
    left_alone: Vec<Special>,
}

pub(super) fn restore(place: &Place, trees: &EtcTrees, how: How, paths: &[OsString]) -> Result<Status, String> {
    let vendor = trees.vendor(how.staged)?;
    let wanted = paths.iter().map(|path| relative(path)).collect::<Result<Vec<_>, _>>()?;
    let (all, _) = items(trees, how.staged)?;
    let policy = if place.runs {
        place.roots.system.try_clone().map_err(|error| error.to_string())?
    } else {
        deployment::open(&place.roots, &trees.machine.deployment).map_err(|error| error.to_string())?
    };
    let labels = Labels::of(&policy, None).map_err(|error| error.to_string())?;
    let mut work =
        Restore { vendor, machine: &trees.machine, how, labels, copier: Copier::default(), passed: Vec::new() };
    let (mut shown_all, mut status) = (Shown::default(), SUCCESS);
    for path in &wanted {
        let mut chosen: Vec<_> = all.iter().filter(|item| is_at_or_below(&item.relative, path)).collect();
        let unlisted = chosen.is_empty().then(|| unlisted::item(vendor, &trees.machine, path));
        match &unlisted {
            None => {}
            Some(Ok(Some(item))) => chosen.push(item),
            Some(Ok(None)) => shown_all.unchanged.push(shown(path)),
            Some(Err(error)) => {
                log::error!("{error}");
                status = FAILED;
            }
        }
        for item in chosen {
            if item.change == Change::Added {
                if item.relative == *path {
                    log::error!("the tree ships no {0}; to remove it: rm {0}", item.path);
                    status = FAILED;
                } else {
                    shown_all.left.push(item.path.clone());
                }
                continue;
            }
            match work.one(&item.relative) {
                Ok(saved) => shown_all.restored.push(Restored { path: item.path.clone(), saved }),
                Err(error) => {
                    log::error!("cannot restore {}: {error}", item.path);
                    status = FAILED;
                }
            }
        }
        match special::below(&trees.machine, path) {
            Ok(found) => shown_all.left_alone.extend(found),
            Err(error) => {
                log::error!("cannot look for devices in {}: {error}", shown(path));
                status = FAILED;
            }
        }
    }
    shown_all.left_alone.append(&mut work.passed);
    let printed = print::print(&shown_all, how.json, |page| text(&shown_all, page));
    Ok(if status == SUCCESS { printed } else { status })
}

struct Restore<'a> {
    vendor: &'a Tree,
    machine: &'a Tree,
    how: How,
    labels: Labels,
    copier: Copier,
    /// What is shipped and is not made.
    passed: Vec<Special>,
}

impl Restore<'_> {
    /// Restores one name, and returns where the machine's is.
    fn one(&mut self, path: &OsStr) -> Result<Option<String>, Errno> {
        let (parent, name) = split(path);
        if name.is_empty() {
            copy::directory_attributes(&self.vendor.directory, &self.machine.directory)?;
            self.label(&self.machine.directory, path, Kind::Directory);
            return Ok(None);
        }
        let from = self.vendor.open_directory(parent)?;
        let kind = tree::look_up(&from, name.as_bytes())?.ok_or(Errno::NOENT)?;
        let to = self.parent(parent)?;
        let here = tree::look_up(&to, name.as_bytes())?;
        if (kind, here) == (Kind::Directory, Some(Kind::Directory)) {
            let directory = tree::open(&to, name.as_bytes())?;
            copy::directory_attributes(tree::open(&from, name.as_bytes())?, &directory)?;
            self.label(&directory, path, kind);
            rustix::fs::fsync(&directory)?;
            return Ok(None);
        }
        let new = [b".", name.as_bytes(), b".firstroot-new"].concat();
        tree::remove(&to, &new)?;
        let saved = self.copy(&from, name, &to, &new, path, kind).and_then(|()| self.put(&to, name, &new, here));
        if saved.is_err() {
            // The first error is returned.
            let _ = tree::remove(&to, &new);
        }
        rustix::fs::fsync(&to)?;
        saved.map(|saved| saved.map(|saved| shown(&join(parent, OsStr::from_bytes(&saved)))))
    }

    /// The directory of a name on the machine, which is made as the vendor's if it was removed.
    fn parent(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        match open_directory(&self.machine.directory, path) {
            Err(Errno::NOENT) if !path.is_empty() => {}
            other => return other,
        }
        let (parent, name) = split(path);
        // Bounded by the levels of a path, of which a system call takes 4,095 bytes.
        let mut above = vec![name];
        let mut rest = parent;
        let mut directory = loop {
            match open_directory(&self.machine.directory, rest) {
                Err(Errno::NOENT) if !rest.is_empty() => {
                    let (parent, name) = split(rest);
                    above.push(name);
                    rest = parent;
                }
                other => break other?,
            }
        };
        let mut here = rest.to_owned();
        while let Some(name) = above.pop() {
            here = join(&here, name);
            rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o700))?;
            let made = tree::open(&directory, name.as_bytes())?;
            copy::directory_attributes(self.vendor.open_directory(&here)?, &made)?;
            self.label(&made, &here, Kind::Directory);
            directory = made;
        }
        Ok(directory)
    }

    /// Copies the vendor's `name` to the name `new`, durably.
    fn copy(
        &mut self,
        from: &OwnedFd,
        name: &OsStr,
        to: &OwnedFd,
        new: &[u8],
        path: &OsStr,
        kind: Kind,
    ) -> Result<(), Errno> {
        match kind {
            Kind::File => self.file(from, name.as_bytes(), to, new, path),
            Kind::Link => {
                copy::link(from, name.as_bytes(), to, new)?;
                self.labels.give_link(to, new, &absolute(path));
                Ok(())
            }
            Kind::Directory => self.directory(from, name, to, new, path),
            Kind::Other => Err(Errno::NOTSUP),
        }
    }

    fn file(&mut self, from: &OwnedFd, name: &[u8], to: &OwnedFd, new: &[u8], path: &OsStr) -> Result<(), Errno> {
        self.copier.file(tree::open_file(from, name)?, to, new)?;
        let file = tree::open_file(to, new)?;
        self.label(&file, path, Kind::File);
        rustix::fs::fsync(&file)
    }

    /// A directory with all that is in it.
    fn directory(&mut self, from: &OwnedFd, name: &OsStr, to: &OwnedFd, new: &[u8], path: &OsStr) -> Result<(), Errno> {
        rustix::fs::mkdirat(to, new, Mode::from_raw_mode(0o700))?;
        let (source, target) = (tree::open(from, name.as_bytes())?, tree::open(to, new)?);
        let mut left = vec![OsString::new()];
        while let Some(inner) = left.pop() {
            let (source, target) = (open_directory(&source, &inner)?, open_directory(&target, &inner)?);
            copy::directory_attributes(&source, &target)?;
            self.label(&target, &join(path, &inner), Kind::Directory);
            for (name, kind) in tree::entries(&source)? {
                let name = OsStr::from_bytes(&name);
                let inside = join(&inner, name);
                match kind {
                    Kind::Directory => {
                        rustix::fs::mkdirat(&target, name, Mode::from_raw_mode(0o700))?;
                        left.push(inside);
                    }
                    Kind::Other => self.passed.push(Special::at(&source, name, &join(path, &inside))?),
                    kind => self.copy(&source, name, &target, name.as_bytes(), &join(path, &inside), kind)?,
                }
            }
            rustix::fs::fsync(&target)?;
        }
        Ok(())
    }

    /// Gives `new` the name, and keeps what had it.
    fn put(&self, to: &OwnedFd, name: &OsStr, new: &[u8], here: Option<Kind>) -> Result<Option<Vec<u8>>, Errno> {
        // A directory cannot take the name of a file by a rename alone.
        let becomes_directory = tree::look_up(to, new)? == Some(Kind::Directory);
        let saved = match here {
            Some(_) if becomes_directory && !self.how.discard => Some(save(to, name, Kind::Directory)?),
            Some(kind) if !self.how.discard => Some(save(to, name, kind)?),
            _ => None,
        };
        let is_directory = here == Some(Kind::Directory) || (here.is_some() && becomes_directory);
        if is_directory && self.how.discard {
            match rustix::fs::renameat_with(to, new, to, name, RenameFlags::EXCHANGE) {
                Ok(()) => {
                    rustix::fs::fsync(to)?;
                    tree::remove(to, new)?;
                    return Ok(None);
                }
                // An overlay cannot move a directory of its lower filesystem. It is only lost at a reboot.
                Err(Errno::XDEV | Errno::INVAL) => tree::remove(to, name.as_bytes())?,
                Err(error) => return Err(error),
            }
        }
        rustix::fs::renameat(to, new, to, name)?;
        Ok(saved)
    }

    fn label(&self, file: impl std::os::fd::AsFd, path: &OsStr, kind: Kind) {
        self.labels.give(file, &absolute(path), kind);
    }
}

/// The path as a policy for labels has it.
fn absolute(path: &OsStr) -> Vec<u8> {
    if path.is_empty() { b"/etc".to_vec() } else { [b"/etc/", path.as_bytes()].concat() }
}

fn text(all: &Shown, page: &mut Page) {
    for Restored { path, saved } in &all.restored {
        let kept = saved.as_ref().map(|saved| format!("; this machine's is {saved}")).unwrap_or_default();
        page.line(0, Style::Plain, &format!("restored {path}{kept}"));
    }
    all.unchanged.iter().for_each(|path| page.line(0, Style::Plain, &format!("{path} is as shipped")));
    all.left.iter().for_each(|path| page.line(0, Style::Plain, &format!("left {path}: only this machine has it")));
    all.left_alone.iter().for_each(|Special { path, kind }| {
        page.line(0, Style::Plain, &format!("left alone {path}: a {kind}"));
    });
}

#[cfg(test)]
mod tests;
