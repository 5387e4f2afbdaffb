//! Whether one object is what an image needs.
//!
//! An object that is sealed with the digest in the image is read to its end, and the kernel compares each block. An object without
//! a seal is compared with its name, which is the checksum of its header and content.

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
    #[error("it is not a file")]
    NotAFile,
    #[error("it is a symbolic link, or a directory of its path is one")]
    Link,
    #[error("it cannot be opened: {0}")]
    Closed(Errno),
    #[error("it cannot be read: {0}")]
    Unreadable(Errno),
    #[error("it is sealed with fs-verity but cannot be read: {0}; it was changed, or the disk fails")]
    Broken(Errno),
    #[error("it is not sealed with fs-verity")]
    NotSealed,
    #[error("its fs-verity digest is {found}, the image has {wanted}")]
    OtherSeal { found: String, wanted: String },
    #[error("the image has no digest for it: the image was made without fs-verity")]
    NoDigest,
    #[error("its content, owner, mode or attributes do not match the checksum in its name")]
    Changed,
    #[error(
        "its content, owner, mode or attributes do not match the checksum in its name, or this system does not know its SELinux label"
    )]
    ChangedOrLabelled,
    #[error("it is not sealed, and it cannot be compared with its name: the mode of the repository is not \"bare\"")]
    NotBare,
}

impl ObjectFault {
    /// The object may be good: this system cannot check it.
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

/// What each object must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The kernel will only read objects that are sealed with the digest in the image.
    pub(crate) verity: bool,
    /// The files of objects have the owner, mode and attributes that are in their checksums.
    pub(crate) bare: bool,
}

/// How a good object was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    Seal,
    Name,
    /// By its name; whether it is sealed is unknown, because this kernel or this filesystem has no fs-verity.
    NameWithoutVerity,
}

/// Opens an object below the directory of objects and starts reading ahead. Like overlayfs, it follows no link and crosses no
/// mount.
pub(crate) fn ask_for(objects: BorrowedFd<'_>, object: &ImageObject) -> Result<OwnedFd, ObjectFault> {
    let path = object.name.object("file");
    let path = path.strip_prefix(OBJECTS).unwrap_or(&path);
    // A fifo may be in its place.
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
            let found = format!("of hash algorithm {algorithm}");
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

/// The kernel shows a label that the loaded policy does not know, for example one of a newer tree, as another label.
fn shows_other_labels() -> bool {
    // If this is unknown, assume it.
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
