//! `ostree-state-overlay NAME PATH`: mounts an overlay over a directory of the tree, so that programs can keep state in it. Where the tree
//! of another commit is booted, what the overlay has in place of the tree's files goes, and files that only the overlay has stay.
//!
//! An attribute of the upper layer names the commit that it was made over. It is written after all removals are on the disk: with the
//! attribute of the new commit and a file of the old one, that file would hide the tree's for ever.

mod booted_commit;
mod error;
mod prune;

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ostree_formats::deployment::Checksum;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use system::log::{Sink, Stderr};
use system::mount::FsOption;
use system::{Context, SystemError, dir, mount, sync, xattr};

use crate::status::{FAILED, SUCCESS, Status, USAGE};
use error::Error;

const PROGRAM: &str = "ostree-state-overlay";
const OVERLAYS: &str = "var/ostree/state-overlays";
/// Names the commit.
const MADE_OVER: &[u8] = b"user.ostree.deploymentcsum";

/// Runs the program.
pub fn run(arguments: Vec<OsString>) -> Status {
    let stderr = Stderr::of_this_process();
    Sink::new(if stderr == Stderr::Journal { "" } else { PROGRAM }, stderr, None).install();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let [name, path] = words.as_slice() else {
        log::error!("a name and the path of a directory are needed: {PROGRAM} NAME PATH");
        return USAGE;
    };
    if name.is_empty() || name.contains('/') || matches!(*name, "." | "..") || !path.starts_with('/') {
        log::error!("{name:?} and {path:?}: the first must be a name without a slash, the second an absolute path");
        return USAGE;
    }
    match overlay(name, path) {
        Ok(()) => SUCCESS,
        Err(error) => {
            log::error!("error: cannot make the state overlay {name} over {path}: {error}");
            FAILED
        }
    }
}

fn overlay(name: &str, path: &str) -> Result<(), Error> {
    let root = dir::open_root(Path::new("/")).context("open", "/")?;
    let booted = booted_commit::booted_commit(root.as_fd())?;
    let lower = dir::open(&root, path, OFlags::RDONLY | OFlags::DIRECTORY).context("open", path)?;
    let upper = layers(&root, name)?;
    let shown = format!("/{OVERLAYS}/{name}");
    let made_over = xattr::require(&upper, MADE_OVER)
        .context("read the attribute user.ostree.deploymentcsum of", format_args!("{shown}/upper"))?;
    if made_over.as_deref() != Some(booted.as_str().as_bytes()) {
        prune::prune(upper.as_fd(), lower.as_fd()).context("remove old files from", format_args!("{shown}/upper"))?;
        mark(&upper, &booted).context("mark", format_args!("{shown}/upper"))?;
    }
    let (upper_directory, work_directory) = (format!("{shown}/upper"), format!("{shown}/work"));
    let options = [
        FsOption::Text("lowerdir", path),
        FsOption::Text("upperdir", &upper_directory),
        FsOption::Text("workdir", &work_directory),
    ];
    let mounted = mount::filesystem("overlay", "overlay", &options, MountAttrFlags::empty())?;
    mount::attach(mounted, lower).context("mount the overlay on", path)?;
    Ok(())
}

/// All removals are on the disk before the attribute is set, and the attribute before somebody changes a file through the overlay.
fn mark(upper: &OwnedFd, commit: &Checksum) -> Result<(), Errno> {
    sync::filesystem(upper)?;
    xattr::set(upper, MADE_OVER, commit.as_str().as_bytes())?;
    rustix::fs::fsync(upper)
}

/// Makes the directories of the overlay, for root alone, and opens the upper one.
fn layers(root: &OwnedFd, name: &str) -> Result<OwnedFd, SystemError> {
    let path = format!("{OVERLAYS}/{name}");
    let mut at = dir::open_directory(root, ".").context("open", "/")?;
    for name in path.split('/') {
        at = make(&at, name).context("make the directory", format_args!("/{path}"))?;
    }
    make(&at, "work").context("make the directory", format_args!("/{path}/work"))?;
    make(&at, "upper").context("make the directory", format_args!("/{path}/upper"))?;
    dir::open(&at, OsStr::new("upper"), OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/{path}/upper"))
}

fn make(directory: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(directory, name, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(Errno::EXIST) => dir::open_directory(directory, name),
        Err(error) => Err(error),
    }
}
