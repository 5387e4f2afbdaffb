//! What is at a path of a tree, and how two of them differ, in words.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;
use serde::Serialize;
use system::dir::Kind;
use system::{tree, xattr};

use super::trees::{Tree, split};
use crate::read::digest;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Found {
    pub(super) kind: &'static str,
    /// As `chmod` takes it.
    pub(super) mode: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// The target of a link.
    pub(super) target: Option<String>,
    /// Names of extended attributes that count as changes.
    pub(super) attributes: Vec<String>,
    /// Of a file: SHA-256. Contents are not kept: a machine may have large files in `/etc`.
    #[serde(skip)]
    pub(super) content: Option<[u8; 32]>,
    #[serde(skip)]
    values: Vec<Option<Vec<u8>>>,
}

/// Looks at a path. `None`: nothing is there.
pub(super) fn look(at: &Tree, path: &OsStr) -> Result<Option<Found>, Errno> {
    let (parent, name) = split(path);
    let directory = match at.open_directory(parent) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        other => other?,
    };
    if name.is_empty() {
        return found(&directory, b".", Kind::Directory).map(Some);
    }
    match tree::look_up(&directory, name.as_bytes())? {
        None => Ok(None),
        Some(kind) => found(&directory, name.as_bytes(), kind).map(Some),
    }
}

fn found(directory: impl AsFd, name: &[u8], kind: Kind) -> Result<Found, Errno> {
    let stat: Stat = rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (mut target, mut content, mut attributes, mut values) = (None, None, Vec::new(), Vec::new());
    let size = stat.st_size.unsigned_abs();
    match kind {
        Kind::Link => {
            let text = rustix::fs::readlinkat(&directory, name, Vec::new())?;
            target = Some(text.to_string_lossy().into_owned());
        }
        Kind::File | Kind::Directory => {
            let opened =
                if kind == Kind::File { tree::open_file(&directory, name) } else { tree::open(&directory, name) }?;
            for name in xattr::names(&opened)?.into_iter().filter(|name| counts(name)) {
                values.push(xattr::get(&opened, &name)?);
                attributes.push(String::from_utf8_lossy(&name).into_owned());
            }
            if kind == Kind::File {
                content = Some(digest::sha256(&opened)?);
            }
        }
        Kind::Other => {}
    }
    Ok(Found {
        kind: word(kind),
        mode: format!("{:04o}", stat.st_mode & 0o7777),
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: if kind == Kind::Directory { 0 } else { size },
        target,
        attributes,
        content,
        values,
    })
}

/// The attributes that an administrator sets. Labels are the policy's.
fn counts(name: &[u8]) -> bool {
    const COUNTING: [&[u8]; 3] = [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];
    COUNTING.contains(&name) || (name.starts_with(b"user.") && name != b"user.ostreemeta")
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Link => "link",
        Kind::Other => "special",
    }
}

/// How the second one differs from the first one. Nothing: it does not.
pub(super) fn differences(one: &Found, other: &Found) -> Vec<String> {
    if one.kind != other.kind {
        return vec![format!("a {} became a {}", one.kind, other.kind)];
    }
    let mut all = Vec::new();
    if one.target != other.target {
        let text = |found: &Found| found.target.clone().unwrap_or_default();
        all.push(format!("target {} -> {}", text(one), text(other)));
    }
    if one.kind == "file" && (one.size, one.content) != (other.size, other.content) {
        all.push("content".to_owned());
    }
    if one.kind != "link" && one.mode != other.mode {
        all.push(format!("mode {} -> {}", one.mode, other.mode));
    }
    if (one.uid, one.gid) != (other.uid, other.gid) {
        all.push(format!("owner {}:{} -> {}:{}", one.uid, one.gid, other.uid, other.gid));
    }
    if (&one.attributes, &one.values) != (&other.attributes, &other.values) {
        all.push(format!("attributes [{}] -> [{}]", one.attributes.join(" "), other.attributes.join(" ")));
    }
    all
}
