//! The filesystem of a directory, as udev has it.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::mountinfo;
use ostree_sysroot::Roots;
use system::proc::Proc;
use system::{Context, SystemError, block_device};

use super::devices;

/// What udev says of a filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// What is mounted, as in the table of mounts.
    pub source: String,
    /// It is mounted as a whole, and not one directory or subvolume of it.
    pub is_whole: bool,
    /// `ID_FS_UUID`.
    pub uuid: Option<String>,
    /// `ID_FS_TYPE`.
    pub fstype: Option<String>,
}

/// The filesystem of `directory`, which messages name `shown`.
///
/// # Errors
/// The table of mounts, or udev's database, cannot be read.
pub fn of(roots: &Roots, directory: &OwnedFd, shown: &str) -> Result<Filesystem, SystemError> {
    let proc = Proc::open()?;
    let mounts = mountinfo::parse(&proc.mountinfo()?);
    let path = proc.path_of(directory).context("find the path of", shown)?;
    let of_mount = mounts.iter().rev().find(|mount| mount.target == path);
    let is_whole = of_mount.is_some_and(|mount| mount.root == std::path::Path::new("/"));
    let source = of_mount.map(|mount| mount.source.to_string_lossy().into_owned()).unwrap_or_default();
    let device = match block_device::of_filesystem(directory).context("find the device of", shown)? {
        Some(device) => Some(device),
        None => block_device::at(&source).context("look up", source.as_str())?,
    };
    let Some(device) = device else { return Ok(Filesystem { source, is_whole, uuid: None, fstype: None }) };
    let property = |key| devices::property(roots.system.as_fd(), device, key);
    Ok(Filesystem { source, is_whole, uuid: property("ID_FS_UUID")?, fstype: property("ID_FS_TYPE")? })
}
