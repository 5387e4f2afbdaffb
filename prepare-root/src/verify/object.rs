//! Whether one object is what an image needs.
//!
//! One that is sealed with the digest in the image is read to its end: the kernel compares each block. What is not sealed is compared
//! with its name, the checksum of its header and content, which the image says, too.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ostree_formats::deployment::hexadecimal;
use ostree_formats::file_object::FileHeader;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir::{self, Kind};
use system::verity::{self, Seal};
use system::xattr;

use super::content;
use super::image_objects::ImageObject;

/// Where objects are, on the physical root.
pub(super) const OBJECTS: &str = "ostree/repo/objects/";

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ObjectFault {
    #[error("it is missing")]
    Missing,
    #[error("it is no file")]
    NotAFile,
    #[error("a symbolic link is there, or on the way to it")]
    Link,
    #[error("it cannot be opened: {0}")]
    Closed(Errno),
    #[error("it cannot be read: {0}")]
    Unreadable(Errno),
    #[error("it is sealed with fs-verity, and cannot be read: {0}; it was changed, or the disk fails")]
    Broken(Errno),
    #[error("it is not sealed with fs-verity")]
    NotSealed,
    #[error("it is sealed with another digest ({found}) than the image says ({wanted})")]
    OtherSeal { found: String, wanted: String },
    #[error("the image says no digest for it: it was made without fs-verity")]
    NoDigest,
    #[error("its content, owner, mode or attributes are not those that it is named after")]
    Changed,
    #[error(
        "its content, owner, mode or attributes are not those that it is named after; or its SELinux label is one that this system \
         does not know, and shows as another"
    )]
    ChangedOrLabelled,
    #[error(
        "it is not sealed, and the repository is not of the mode \"bare\", in which it can be compared with its name"
    )]
    NotBare,
}

impl ObjectFault {
    /// Not the object's fault, but that of who looks.
    pub(crate) fn is_doubt(&self) -> bool {
        match self {
            ObjectFault::NotBare | ObjectFault::ChangedOrLabelled => true,
            ObjectFault::Closed(reason) | ObjectFault::Unreadable(reason) | ObjectFault::Broken(reason) => {
                !content::is_damage(*reason)
            }
            _ => false,
        }
    }
}

/// What is asked of each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Only what is sealed with the digest in the image will be read.
    pub(crate) verity: bool,
    /// Objects have the owner, mode and attributes that their names are made from.
    pub(crate) bare: bool,
}

/// How an object that is right was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Seal,
    Name,
    /// By its name, since neither this kernel nor this filesystem can tell of a seal.
    NameWithoutVerity,
}

/// Opens an object, below the directory of objects, and lets the disk begin. As overlayfs does, it follows no link on the way, and
/// crosses no mount.
pub(crate) fn ask_for(objects: BorrowedFd<'_>, object: &ImageObject) -> Result<OwnedFd, ObjectFault> {
    let path = object.name.object("file");
    let path = path.strip_prefix(OBJECTS).unwrap_or(&path);
    // What is in its place may be a fifo.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = dir::open_plainly(objects, path, flags).map_err(|reason| match reason {
        Errno::NOENT => ObjectFault::Missing,
        Errno::LOOP => ObjectFault::Link,
        Errno::NXIO | Errno::NOTDIR => ObjectFault::NotAFile,
        reason => ObjectFault::Closed(reason),
    })?;
    if dir::stat_fd(&file).map_err(ObjectFault::Unreadable)?.kind != Kind::File {
        return Err(ObjectFault::NotAFile);
    }
    content::ask_for(&file);
    Ok(file)
}

/// Reads an open object.
pub(crate) fn check(
    file: impl AsFd,
    object: &ImageObject,
    rule: Rule,
    buffer: &mut [u8],
) -> Result<(Proof, u64), ObjectFault> {
    let seal = verity::measure(&file).map_err(ObjectFault::Unreadable)?;
    match (object.digest, seal) {
        (Some(wanted), Seal::Sha256(found)) if wanted == found => {
            let bytes = content::read(&file, buffer, |_| ()).map_err(ObjectFault::Broken)?;
            return Ok((Proof::Seal, bytes));
        }
        (None, _) if rule.verity => return Err(ObjectFault::NoDigest),
        (_, Seal::None) if rule.verity => return Err(ObjectFault::NotSealed),
        (Some(wanted), Seal::Sha256(found)) if rule.verity => {
            return Err(ObjectFault::OtherSeal { found: hexadecimal(&found), wanted: hexadecimal(&wanted) });
        }
        (Some(wanted), Seal::Other(algorithm)) if rule.verity => {
            let found = format!("of the hash algorithm number {algorithm}");
            return Err(ObjectFault::OtherSeal { found, wanted: hexadecimal(&wanted) });
        }
        _ => {}
    }
    if !rule.bare {
        return Err(ObjectFault::NotBare);
    }
    let header = header(&file).map_err(ObjectFault::Unreadable)?;
    let mut hash = Sha256::new_with_prefix(header.to_bytes());
    let bytes = content::read(&file, buffer, |content| hash.update(content)).map_err(ObjectFault::Unreadable)?;
    if hexadecimal(&hash.finalize()) != object.name.as_str() {
        let is_labelled = header.xattrs.iter().any(|(name, _)| name == b"security.selinux");
        return Err(if is_labelled && shows_other_labels() {
            ObjectFault::ChangedOrLabelled
        } else {
            ObjectFault::Changed
        });
    }
    Ok((if seal == Seal::Unsupported { Proof::NameWithoutVerity } else { Proof::Name }, bytes))
}

/// A label that the policy of the system here does not know, as that of a newer tree has, is shown as another one.
fn shows_other_labels() -> bool {
    // Where that cannot be told it may be so.
    !matches!(dir::exists("/sys/fs/selinux/enforce"), Ok(false))
}

fn header(file: impl AsFd) -> Result<FileHeader, Errno> {
    let stat = rustix::fs::fstat(&file)?;
    let mut xattrs = Vec::new();
    for name in xattr::names(&file)? {
        if let Some(value) = xattr::get(&file, &name)? {
            xattrs.push((name, value));
        }
    }
    Ok(FileHeader { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, xattrs })
}
