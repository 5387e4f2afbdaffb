//! Devices, fifos and sockets in a directory that is restored. They are left alone, and named.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use serde::Serialize;
use system::dir::Kind;
use system::{dir, tree};

use super::trees::{Tree, join, open_directory, shown};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Special {
    pub(super) path: String,
    /// What it is: `device`, `fifo` or `socket`.
    pub(super) kind: &'static str,
}

impl Special {
    pub(super) fn at(directory: &OwnedFd, name: &OsStr, path: &OsStr) -> Result<Self, Errno> {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            _ => "device",
        };
        Ok(Self { path: shown(path), kind })
    }
}

/// All below a path. Nothing is below a path that is no directory.
pub(super) fn below(tree: &Tree, path: &OsStr) -> Result<Vec<Special>, Errno> {
    let top = match open_directory(&tree.directory, path) {
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(Vec::new()),
        other => dir::if_there(other)?,
    };
    let Some(top) = top else { return Ok(Vec::new()) };
    let (mut found, mut left) = (Vec::new(), vec![OsString::new()]);
    while let Some(inner) = left.pop() {
        let directory = open_directory(&top, &inner)?;
        for (name, kind) in tree::entries(&directory)? {
            let name = OsStr::from_bytes(&name);
            let inside = join(&inner, name);
            match kind {
                Kind::Directory => left.push(inside),
                Kind::Other => found.push(Special::at(&directory, name, &join(path, &inside))?),
                Kind::File | Kind::Link => {}
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}
