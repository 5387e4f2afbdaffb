//! The directories that are compared: the machine's `/etc`, and what the booted and the staged tree ship.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use finalize_staged::inspect;
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::boot_links::follow_by_text;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use system::{Context, dir};

use crate::place::Place;
use crate::read::menu;

/// One `etc`.
#[derive(Debug)]
pub(super) struct Tree {
    /// Whose.
    pub(super) deployment: DeploymentPath,
    /// Its path, for programs and messages.
    pub(super) path: PathBuf,
    pub(super) directory: OwnedFd,
}

/// All of them.
#[derive(Debug)]
pub(super) struct EtcTrees {
    /// As shipped by the booted tree; on a disk, by the first of the menu.
    pub(super) shipped: Tree,
    /// As it is.
    pub(super) machine: Tree,
    /// As shipped by the staged tree.
    pub(super) staged: Option<Tree>,
}

impl EtcTrees {
    /// Opens them.
    pub(super) fn open(place: &Place) -> Result<Self, String> {
        let deployment = deployment_of(place)?;
        let shipped = of_deployment(place, &deployment, "usr/etc")?;
        // What services see: with a transient /etc, an overlay over the shipped one.
        let machine = if place.runs {
            let path = place.root.join("etc");
            let directory = dir::open(&place.roots.system, "etc", OFlags::RDONLY | OFlags::DIRECTORY);
            let directory = directory.context("open", path.display()).map_err(|error| error.to_string())?;
            Tree { deployment, path, directory }
        } else {
            of_deployment(place, &deployment, "etc")?
        };
        let staged = if place.runs { inspect::staged(&place.root)? } else { None };
        let staged =
            staged.map(|staged| of_deployment(place, &staged.state.target.deployment, "usr/etc")).transpose()?;
        Ok(Self { shipped, machine, staged })
    }

    /// The tree that `--staged` or its absence means.
    pub(super) fn vendor(&self, staged: bool) -> Result<&Tree, String> {
        match (staged, &self.staged) {
            (false, _) => Ok(&self.shipped),
            (true, Some(tree)) => Ok(tree),
            (true, None) => Err("no deployment is staged".to_owned()),
        }
    }
}

fn of_deployment(place: &Place, deployment: &DeploymentPath, name: &str) -> Result<Tree, String> {
    let inside = format!("{deployment}/{name}");
    let path = place.physical.join(&inside);
    let directory = dir::open(&place.roots.sysroot, &inside, OFlags::RDONLY | OFlags::DIRECTORY);
    let directory = directory.context("open", path.display()).map_err(|error| error.to_string())?;
    Ok(Tree { deployment: deployment.clone(), path, directory })
}

/// The booted deployment, or the one that a disk boots by default.
fn deployment_of(place: &Place) -> Result<DeploymentPath, String> {
    let roots = &place.roots;
    if !place.runs {
        let menu = menu::read(roots).map_err(|error| error.to_string())?;
        let first = menu.entries.first().ok_or("the boot menu has no entry of this system")?;
        let found = follow_by_text(roots.sysroot.as_fd(), &format!("/{}", first.link));
        return found.map(|found| found.path).map_err(|error| error.to_string());
    }
    place.booted()
}

impl Tree {
    /// Opens a directory in it; no link is followed.
    pub(super) fn open_directory(&self, path: &OsStr) -> Result<OwnedFd, Errno> {
        open_directory(&self.directory, path)
    }
}

/// Opens a directory below `root`; no link is followed. Something may be mounted on the way.
pub(super) fn open_directory(root: impl AsFd, path: &OsStr) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { OsStr::new(".") } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

/// A path as a person types it, relative to `/etc`: `/etc/hosts`, `etc/hosts` or `hosts`.
pub(super) fn relative(typed: &OsStr) -> Result<OsString, String> {
    let bytes = typed.as_bytes();
    let below = match bytes.strip_prefix(b"/etc") {
        Some(b"") => b"",
        Some([b'/', rest @ ..]) => rest,
        _ if bytes.starts_with(b"/") => return Err(format!("{} is not in /etc", Path::new(typed).display())),
        _ => bytes,
    };
    let names: Vec<&[u8]> =
        below.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".").collect();
    if names.contains(&&b".."[..]) {
        return Err(format!("{}: a path with .. is not taken", Path::new(typed).display()));
    }
    Ok(OsStr::from_bytes(&names.join(&b'/')).to_owned())
}

/// Directory and name.
pub(super) fn split(path: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (
            OsStr::from_bytes(bytes.get(..at).unwrap_or_default()),
            OsStr::from_bytes(bytes.get(at + 1..).unwrap_or_default()),
        ),
        None => (OsStr::new(""), path),
    }
}

/// The path of a name in a directory. An empty one is the directory itself.
pub(super) fn join(directory: &OsStr, name: &OsStr) -> OsString {
    match (directory.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => directory.to_owned(),
        _ => OsStr::from_bytes(&[directory.as_bytes(), b"/", name.as_bytes()].concat()).to_owned(),
    }
}

/// Whether `path` is `directory`, or in it.
pub(super) fn is_at_or_below(path: &OsStr, directory: &OsStr) -> bool {
    directory.is_empty() || path == directory || Path::new(path).starts_with(directory)
}

/// The path as it is typed.
pub(super) fn shown(path: &OsStr) -> String {
    Path::new("/etc").join(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_people_type_them() {
        for typed in ["/etc/a/b", "a/b", "./a//b", "/etc//a/./b/"] {
            assert_eq!(relative(OsStr::new(typed)), Ok("a/b".into()), "{typed}");
        }
        assert_eq!(relative(OsStr::new("/etc")), Ok("".into()));
        for typed in ["/etcetera", "/usr/etc/a", "../a", "/etc/../a"] {
            assert!(relative(OsStr::new(typed)).is_err(), "{typed}");
        }
        assert!(
            is_at_or_below(OsStr::new("a/b"), OsStr::new("a")) && !is_at_or_below(OsStr::new("ab"), OsStr::new("a"))
        );
    }
}
