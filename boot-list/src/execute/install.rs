//! Puts files into `/boot/ostree`: hard links if it is on the filesystem of the tree, else copies. A file gets its final name only
//! when it is complete and durable.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_sysroot::Roots;
use ostree_sysroot::boot_contents::{BootFiles, Install, InstallMethod, Overlay};
use ostree_sysroot::boot_names::{overlay_file, prepared};
use ostree_sysroot::kernel_layout::{self, BootFile};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use system::copy::Copier;
use system::dir::{self, Kind};
use system::tree::{self, TreeWalk, WalkEntry};
use system::{Context, SystemError};

use super::sabotage;

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Installs `files`; `overlays` is the directory of the overlay initrds, `progress` is called after each file.
///
/// # Errors
/// A file cannot be read or written. Files that already have their final names stay.
pub fn install(
    roots: &Roots,
    overlays: Option<&OwnedFd>,
    files: &BootFiles,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    if files.are_installed || files.installs.is_empty() && files.overlays.is_empty() {
        return Ok(());
    }
    let parent = boot_ostree(roots)?;
    for install in &files.installs {
        match install.method {
            InstallMethod::NewDirectory => new_directory(roots, &parent, install, progress)?,
            InstallMethod::Prepared => match rename(&parent, &prepared(&install.directory), &install.directory) {
                // Another program has just removed it.
                Err(Errno::NOENT) => new_directory(roots, &parent, install, progress)?,
                other => other.context("put into place", shown(&prepared(&install.directory)))?,
            },
            InstallMethod::Repair => repair(roots, &parent, install, progress)?,
        }
    }
    for overlay in &files.overlays {
        install_overlay(&parent, overlays, overlay)?;
        progress();
    }
    sync(&parent, "")
}

/// Puts all files of an install into a new directory `name` in `/boot/ostree`, under a temporary name first.
///
/// # Errors
/// A file cannot be read or written; the temporary directory is removed.
pub fn make_directory(
    roots: &Roots,
    parent: &OwnedFd,
    install: &Install,
    name: &str,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    // The temporary name depends on `name`, because `--prepare` and finalization may run at the same time.
    let new = format!("{name}.new");
    let shown_new = shown(&new);
    tree::remove(parent, new.as_bytes()).context("remove", &shown_new)?;
    let made = make_under(roots, parent, install, &new, progress)
        .and_then(|()| rename(parent, &new, name).context("put into place", shown(name)));
    if made.is_err() {
        // The returned error matters more than an error of this removal, which makes room again on a full disk.
        let _ = tree::remove(parent, new.as_bytes());
    }
    made
}

fn make_under(
    roots: &Roots,
    parent: &OwnedFd,
    install: &Install,
    new: &str,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    rustix::fs::mkdirat(parent, new, DIRECTORY_MODE).context("make", shown(new))?;
    let directory = tree::open(parent, new.as_bytes()).context("open", shown(new))?;
    let source = source(roots, install)?;
    for file in &install.files {
        put(&source, &directory, file, &file.target).context("install", shown(&format!("{new}/{}", file.target)))?;
        progress();
    }
    sync(&directory, new)
}

fn new_directory(
    roots: &Roots,
    parent: &OwnedFd,
    install: &Install,
    progress: &mut dyn FnMut(),
) -> Result<(), SystemError> {
    make_directory(roots, parent, install, &install.directory, progress)
}

fn repair(roots: &Roots, parent: &OwnedFd, install: &Install, progress: &mut dyn FnMut()) -> Result<(), SystemError> {
    let name = &install.directory;
    let directory = tree::open(parent, name.as_bytes()).context("open", shown(name))?;
    let source = source(roots, install)?;
    for file in &install.files {
        log::warn!("{} is damaged or missing: installing it again", shown(&format!("{name}/{}", file.target)));
        let new = format!(".{}.new", file.target);
        let replaced = tree::remove(&directory, new.as_bytes())
            .and_then(|()| put(&source, &directory, file, &new))
            .and_then(|()| sync_directory(&directory))
            .and_then(|()| replace(&directory, &new, &file.target));
        if replaced.is_err() {
            let _ = tree::remove(&directory, new.as_bytes());
        }
        replaced.context("install", shown(&format!("{name}/{}", file.target)))?;
        progress();
    }
    sync(&directory, name)
}

/// Renames `new` to `target`. If `target` is of a kind that `new` cannot replace, it is removed first.
fn replace(directory: &OwnedFd, new: &str, target: &str) -> Result<(), Errno> {
    match rename(directory, new, target) {
        Err(Errno::ISDIR | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            tree::remove(directory, target.as_bytes())?;
            rename(directory, new, target)
        }
        other => other,
    }
}

fn install_overlay(parent: &OwnedFd, overlays: Option<&OwnedFd>, overlay: &Overlay) -> Result<(), SystemError> {
    let path = overlay_file(&overlay.checksum);
    let (directory, name) = path.split_once('/').unwrap_or_default();
    dir::make(parent, directory, 0o755).context("make", shown(directory))?;
    let directory_fd = tree::open(parent, directory.as_bytes()).context("open", shown(directory))?;
    let new = format!(".{name}.new");
    overlays
        .ok_or(Errno::NOENT)
        .and_then(|staged| {
            tree::remove(&directory_fd, new.as_bytes())?;
            let source = tree::open_file(staged, overlay.checksum.as_str().as_bytes())?;
            let copy = Copier::default().plain_file(source, &directory_fd, new.as_bytes())?;
            rustix::fs::fdatasync(copy)?;
            rename(&directory_fd, &new, name)?;
            sync_directory(&directory_fd)
        })
        .inspect_err(|_| {
            // The returned error matters more than an error of this removal.
            let _ = tree::remove(&directory_fd, new.as_bytes());
        })
        .context("install", shown(&path))
}

fn source(roots: &Roots, install: &Install) -> Result<OwnedFd, SystemError> {
    kernel_layout::open_directory(&roots.sysroot, &install.deployment, &install.layout)
}

/// Puts one file, or a directory with its files, to `target`, durably. `target` does not exist yet.
fn put(source: &OwnedFd, directory: &OwnedFd, file: &BootFile, target: &str) -> Result<(), Errno> {
    let opened = dir::open(source, &file.source, OFlags::RDONLY | OFlags::NONBLOCK)?;
    if file.is_directory {
        return put_directory(&opened, directory, target);
    }
    // A hard link to a symbolic link would not be a kernel. `opened` is its target, resolved inside the deployment.
    if dir::stat_name(source, &file.source)?.is_some_and(|stat| stat.kind == Kind::Link) {
        return put_copy(&opened, directory, target.as_bytes());
    }
    match rustix::fs::linkat(source, &file.source, directory, target, AtFlags::empty()) {
        Ok(()) => rustix::fs::fdatasync(&opened),
        Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {
            put_copy(&opened, directory, target.as_bytes())
        }
        Err(error) => Err(error),
    }
}

fn put_copy(source: &OwnedFd, directory: &OwnedFd, target: &[u8]) -> Result<(), Errno> {
    let copy = Copier::default().plain_file(source, directory, target)?;
    rustix::fs::fdatasync(copy)
}

/// Copies a directory without extended attributes, because labels of modules are wrong for a boot loader's files. Links are copied
/// as links; devices, fifos and sockets are left out.
fn put_directory(source: &OwnedFd, directory: &OwnedFd, target: &str) -> Result<(), Errno> {
    let new = put_empty_directory(source, directory, target.as_bytes())?;
    let mut walk = TreeWalk::new(source)?;
    while let Some(WalkEntry { path, kind }) = walk.next_entry()? {
        let open = |flags| dir::open_plainly(source, OsStr::from_bytes(&path), flags);
        match kind {
            Kind::Directory => drop(put_empty_directory(&open(OFlags::RDONLY | OFlags::DIRECTORY)?, &new, &path)?),
            Kind::File => put_copy(&open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?, &new, &path)?,
            Kind::Link => system::copy::plain_link(source, &path, &new, &path)?,
            Kind::Other => {}
        }
    }
    // fsync of a directory covers the names that it has at that moment, so directories are synced after all files.
    let mut walk = TreeWalk::new(&new)?;
    while let Some(WalkEntry { path, kind }) = walk.next_entry()? {
        if kind == Kind::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            sync_directory(&dir::open_plainly(&new, OsStr::from_bytes(&path), flags)?)?;
        }
    }
    sync_directory(&new)
}

/// Makes `path` below `directory`, with the owner and mode of `source`.
fn put_empty_directory(source: &OwnedFd, directory: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let stat = rustix::fs::fstat(source)?;
    rustix::fs::mkdirat(directory, path, Mode::from_raw_mode(0o700))?;
    let new = tree::open(directory, path)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
    rustix::fs::fchown(&new, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&new, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    Ok(new)
}

/// Opens `/boot/ostree`, and makes it first if it does not exist.
///
/// # Errors
/// It cannot be opened or made.
pub fn boot_ostree(roots: &Roots) -> Result<OwnedFd, SystemError> {
    if let Some(directory) = roots.boot_ostree()? {
        return Ok(directory);
    }
    dir::make(&roots.boot, "ostree", 0o755).context("make", "/boot/ostree")?;
    tree::open(&roots.boot, b"ostree").context("open", "/boot/ostree")
}

fn rename(directory: impl AsFd, from: &str, to: &str) -> Result<(), Errno> {
    rustix::fs::renameat(&directory, from, &directory, to)
}

fn sync_directory(directory: &OwnedFd) -> Result<(), Errno> {
    if sabotage::is_on("no-sync") {
        return Ok(());
    }
    rustix::fs::fsync(directory)
}

fn sync(directory: &OwnedFd, name: &str) -> Result<(), SystemError> {
    sync_directory(directory).context("sync", shown(name))
}

fn shown(name: &str) -> String {
    format!("/boot/ostree/{name}")
}
