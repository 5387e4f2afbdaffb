//! Lists the deployments of a disk in the order in which they are numbered.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, BorrowedFd};

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::Bootlink;
use ostree_formats::cmdline::KernelCommandLine;
use ostree_formats::commit::Commit;
use ostree_formats::deployment::{Checksum, DeploymentPath};
use ostree_formats::version_order::strverscmp;
use ostree_sysroot::boot_links::LookupError;
use ostree_sysroot::stateroots;
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::commit_signature::{self, VerifyError};
use super::physical_root::PhysicalRoot;
use crate::facts::{Deployments, ListedDeployment, Unread};

/// Entries are on the physical root if `/boot` is no filesystem of its own.
const ENTRIES: &str = "boot/loader/entries";
/// Entries are a few lines.
const ENTRY_LIMIT: u64 = 1 << 16;

/// No menu has more entries.
const MOST: usize = 256;

/// Lists them. What is damaged counts as missing; what cannot be read is in the result.
pub(crate) fn list(physical: &PhysicalRoot) -> Deployments {
    let mut lister = Lister { physical, found: Deployments::default() };
    let menu = lister.menu();
    let paths = lister.paths();
    // A heap is sorted by less code than a slice.
    let mut heap = BinaryHeap::with_capacity(paths.len());
    for path in paths {
        let place = menu.iter().position(|named| *named == path).unwrap_or(usize::MAX);
        let commit = lister.commit(&path.id.commit);
        let time = commit.as_ref().map(|commit| commit.time);
        heap.push((place, Reverse((time, path)), commit.and_then(|commit| commit.version)));
    }
    let listed = |(_, Reverse((time, path)), version)| ListedDeployment { path, version, time };
    let list = heap.into_sorted_vec().into_iter().map(listed).collect();
    Deployments { list, ..lister.found }
}

/// The default of a list that is not active: `entries` has its entries. `None`: nobody can tell.
pub(crate) fn default_of(physical: &PhysicalRoot, entries: BorrowedFd<'_>) -> Option<DeploymentPath> {
    let names = dir::names(entries, ".").ok()?;
    // One that cannot be read may be the default.
    let all: Result<BinaryHeap<Entry>, _> =
        ours(&names).filter_map(|name| entry(physical, entries, name).transpose()).collect();
    all.ok()?.into_sorted_vec().into_iter().next().map(|entry| entry.deployment)
}

/// Those that libostree has written.
fn ours(names: &[String]) -> impl Iterator<Item = &String> {
    names.iter().filter(|name| name.starts_with("ostree-") && name.ends_with(".conf")).take(MOST)
}

/// An entry and where it leads; `None`: to no deployment. The error has the path of what cannot be read.
fn entry(physical: &PhysicalRoot, root: BorrowedFd<'_>, path: &str) -> Result<Option<Entry>, Unread> {
    let content = dir::read(root, path, ENTRY_LIMIT).map_err(|reason| (path.to_owned(), reason))?;
    let link = || -> Option<(Bootlink, String)> {
        let entry = BlsEntry::parse(&content).ok()?;
        let link = KernelCommandLine::new(entry.all_options()).ostree_target().ok()?.path.parse().ok()?;
        Some((link, entry.get("version").unwrap_or_default().to_owned()))
    };
    let Some((link, version)) = link() else { return Ok(None) };
    match physical.follow(&format!("/{link}")) {
        Ok(found) => Ok(Some(Entry { version, deployment: found.path })),
        Err(LookupError::Other { path, reason }) => Err((path.trim_start_matches('/').to_owned(), reason)),
        Err(_) => Ok(None),
    }
}

struct Lister<'a> {
    physical: &'a PhysicalRoot,
    found: Deployments,
}

impl Lister<'_> {
    /// The deployments that the boot loader's entries name, in the order of the menu.
    fn menu(&mut self) -> Vec<DeploymentPath> {
        let names = dir::if_there(dir::names(self.physical, ENTRIES)).unwrap_or_else(|reason| {
            self.unread(ENTRIES, reason);
            None
        });
        let names = names.unwrap_or_default();
        let entries: BinaryHeap<Entry> = ours(&names).filter_map(|name| self.entry(name)).collect();
        entries.into_sorted_vec().into_iter().map(|entry| entry.deployment).collect()
    }

    fn entry(&mut self, name: &str) -> Option<Entry> {
        entry(self.physical, self.physical.as_fd(), &format!("{ENTRIES}/{name}")).unwrap_or_else(|(path, reason)| {
            self.unread(&path, reason);
            None
        })
    }

    /// A link in place of a stateroot is no stateroot: each deployment would have a second path.
    fn paths(&mut self) -> Vec<DeploymentPath> {
        let root = self.physical.as_fd();
        let unlisted = |path: String| move |reason| -> Unread { (path, reason) };
        let names = dir::if_there(stateroots::names(root)).map_err(unlisted("/ostree/deploy".to_owned()));
        let mut paths = Vec::new();
        let names = names.unwrap_or_else(|unread| {
            self.found.unlisted.push(unread);
            None
        });
        for (stateroot, _) in names.unwrap_or_default().into_iter().filter(|(_, kind)| *kind == Kind::Directory) {
            let found = dir::if_there(stateroots::deployments_of(root, &stateroot));
            match found.map_err(unlisted(format!("/ostree/deploy/{stateroot}/deploy"))) {
                Ok(found) => paths.extend(found.unwrap_or_default()),
                Err(unread) => self.found.unlisted.push(unread),
            }
        }
        paths
    }

    fn commit(&mut self, checksum: &Checksum) -> Option<Commit> {
        match commit_signature::commit(self.physical, checksum) {
            Ok(commit) => Some(commit),
            Err(VerifyError::CommitUnreadable { path, reason }) => {
                self.unread(path.trim_start_matches('/'), reason);
                None
            }
            Err(_) => None,
        }
    }

    /// Takes note of a file that could not be read. A name that leads to no such file is damage, which stays.
    fn unread(&mut self, path: &str, reason: Errno) {
        let is_damage = [Errno::NOENT, Errno::NOTDIR, Errno::ISDIR, Errno::LOOP, Errno::INVAL, Errno::FBIG];
        if !is_damage.contains(&reason) {
            self.found.unread.push((format!("/{path}"), reason));
        }
    }
}

/// An entry of a boot loader's menu. The first of the menu has the highest version, and is the least.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    version: String,
    deployment: DeploymentPath,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        strverscmp(&other.version, &self.version).then_with(|| self.deployment.cmp(&other.deployment))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
