//! The boot links on the physical root: which deployments a boot loader may be led to. Only reads.

mod follow;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::bootlink::{Bootlink, by_text};
use ostree_formats::deployment::DeploymentPath;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::{Context, SystemError, dir};

pub use follow::{Followed, LookupError, follow, follow_by_text};

/// The two sets of links.
const SETS: [&str; 2] = ["ostree/boot.0", "ostree/boot.1"];

/// A link in one of the sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootLink {
    /// Its path on the physical root, without a leading slash.
    pub path: String,
    /// Its text. A file of another kind is `ENOENT`.
    pub target: Result<String, Errno>,
}

/// All links of both sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootLinks {
    /// Sorted by path, the first set first.
    pub links: Vec<BootLink>,
    /// Directories that could not be listed, without a leading slash, with the reason: there may be links in them.
    pub unread: Vec<(String, Errno)>,
}

/// Lists both sets. A set that does not exist is empty.
pub fn list(root: BorrowedFd<'_>) -> BootLinks {
    let mut found = BootLinks::default();
    for set in SETS {
        for stateroot in found.names(root, set) {
            for bootcsum in found.names(root, &format!("{set}/{stateroot}")) {
                let directory = format!("{set}/{stateroot}/{bootcsum}");
                for serial in found.names(root, &directory) {
                    let path = format!("{directory}/{serial}");
                    let link = dir::open(root, &path, OFlags::PATH | OFlags::NOFOLLOW);
                    let target = link.and_then(|link| dir::read_link(link, ""));
                    found.links.push(BootLink { path, target });
                }
            }
        }
    }
    found
}

impl BootLinks {
    /// A file beside the directories holds no links.
    fn names(&mut self, root: BorrowedFd<'_>, path: &str) -> Vec<String> {
        let names = dir::if_there(dir::names(root, path)).unwrap_or_else(|reason| {
            self.unread.push((path.to_owned(), reason));
            None
        });
        names.unwrap_or_default()
    }

    /// The links, if every directory could be listed.
    ///
    /// # Errors
    /// One could not.
    pub fn all(self) -> Result<Vec<BootLink>, SystemError> {
        match self.unread.into_iter().next() {
            Some((path, reason)) => Err(reason).context("list", format_args!("/sysroot/{path}")),
            None => Ok(self.links),
        }
    }
}

/// Every deployment that a link of either set names, whether the deployment exists or not.
///
/// # Errors
/// A directory cannot be listed, or a link cannot be read.
pub fn deployments(sysroot: &OwnedFd) -> Result<Vec<DeploymentPath>, SystemError> {
    let mut found = Vec::new();
    for BootLink { path, target } in list(sysroot.as_fd()).all()? {
        match target {
            Ok(target) => found.extend(by_text(&path, &target).parse::<DeploymentPath>().ok()),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).context("read the boot link", format_args!("/sysroot/{path}")),
        }
    }
    Ok(found)
}

/// The deployment that one link names, whether it exists or not. `None`: there is no such link, or it names no deployment.
///
/// # Errors
/// It cannot be read.
pub(crate) fn named_by(sysroot: &OwnedFd, link: &Bootlink) -> Result<Option<DeploymentPath>, SystemError> {
    let path = link.to_string();
    match dir::open(sysroot, &path, OFlags::PATH | OFlags::NOFOLLOW).and_then(|link| dir::read_link(link, "")) {
        Ok(target) => Ok(by_text(&path, &target).parse().ok()),
        // A file of another kind.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => Ok(None),
        Err(error) => Err(error).context("read the boot link", format_args!("/sysroot/{path}")),
    }
}
