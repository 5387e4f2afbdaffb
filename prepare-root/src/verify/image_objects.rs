//! Lists the objects that a composefs image needs: the kernel opens them when files are read.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ostree_formats::deployment::Checksum;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{tree, xattr};

use crate::facts::PathKind;

/// One object, and the first file that needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageObject {
    pub(crate) name: Checksum,
    /// The fs-verity digest of it in the image.
    pub(crate) digest: Option<[u8; 32]>,
    /// In the tree of the image.
    pub(crate) file: PathBuf,
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    #[error("/{path} in it cannot be read: {reason}", path = .0.display(), reason = .1)]
    Unreadable(PathBuf, Errno),
    #[error("the file /{path} in it refers to {found}, which is not an object", path = .0.display(), found = .1)]
    NoObject(PathBuf, String),
    #[error("/{path} in it has a digest that is not SHA-256", path = .0.display())]
    OtherDigest(PathBuf),
    #[error("/{path} in it is {found}, but its directory has another type for it", path = .0.display(), found = .1.describe())]
    OtherKind(PathBuf, PathKind),
    #[error("it has more names than its size allows")]
    TooMany,
}

/// Layout of overlayfs' `struct ovl_metacopy`: version, length of all, flags, hash algorithm, digest.
const METACOPY_VERSION: u8 = 0;
const METACOPY_FLAGS: u8 = 0;
const METACOPY_SHA256: u8 = 1;

/// A name in a directory takes at least this many bytes of an image.
const BYTES_OF_NAME: u64 = 12;
/// Ten times the largest systems, and no more than memory holds.
const MOST_NAMES: u64 = 4_000_000;

/// All objects, each once, by name. `size` is that of the image and limits the number of names.
pub(crate) fn list(image: impl AsFd, size: u64) -> Result<Vec<ImageObject>, ListError> {
    let image = image.as_fd();
    let mut objects = BTreeMap::new();
    let mut directories = vec![PathBuf::from("")];
    let mut names = 0;
    while let Some(path) = directories.pop() {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |reason| ListError::Unreadable(path, reason)
        };
        let shown = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        let directory = dir::open(image, shown, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)
            .map_err(unreadable(&path))?;
        for (name, kind) in tree::entries(&directory).map_err(unreadable(&path))? {
            names += 1;
            if names > MOST_NAMES.min(size / BYTES_OF_NAME) {
                return Err(ListError::TooMany);
            }
            let path = path.join(OsStr::from_bytes(&name));
            // The running system uses the type in the inode. A device must not be opened.
            let found = tree::kind_of(&directory, &name).map_err(unreadable(&path))?;
            if found != kind {
                return Err(ListError::OtherKind(path, found.into()));
            }
            match kind {
                Kind::Directory => directories.push(path),
                Kind::File => {
                    let file = tree::open_file(&directory, &name).map_err(unreadable(&path))?;
                    let attribute = |name: &str| xattr::require(&file, name.as_bytes()).map_err(unreadable(&path));
                    let (metacopy, redirect) =
                        (attribute("trusted.overlay.metacopy")?, attribute("trusted.overlay.redirect")?);
                    if let Some(metacopy) = metacopy {
                        let (name, digest) = (object(&path, redirect)?, digest(&path, &metacopy)?);
                        objects.entry((name, digest)).or_insert(path);
                    }
                }
                Kind::Link | Kind::Other => {}
            }
        }
    }
    let objects = objects.into_iter().map(|((name, digest), file)| ImageObject { name, digest, file });
    Ok(objects.collect())
}

/// `/ab/cdef….file`, below the directory of objects.
pub(crate) fn object(path: &Path, redirect: Option<Vec<u8>>) -> Result<Checksum, ListError> {
    let text = String::from_utf8_lossy(&redirect.unwrap_or_default()).into_owned();
    let parts = text.strip_prefix('/').and_then(|rest| rest.strip_suffix(".file")?.split_once('/'));
    let name =
        parts.filter(|(directory, _)| directory.len() == 2).map(|(directory, name)| format!("{directory}{name}"));
    name.and_then(|name| name.parse().ok()).ok_or_else(|| ListError::NoObject(path.to_owned(), format!("{text:?}")))
}

pub(crate) fn digest(path: &Path, metacopy: &[u8]) -> Result<Option<[u8; 32]>, ListError> {
    match metacopy {
        [] => Ok(None),
        [METACOPY_VERSION, length, METACOPY_FLAGS, METACOPY_SHA256, digest @ ..]
            if usize::from(*length) == metacopy.len() && digest.len() == 32 =>
        {
            Ok(digest.first_chunk().copied())
        }
        // A header without a digest.
        [METACOPY_VERSION, 4, METACOPY_FLAGS, 0] => Ok(None),
        _ => Err(ListError::OtherDigest(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_an_object_is_looked_for() {
        let path = Path::new("usr/bin/sh");
        let name = "ab".repeat(32);
        let redirect = |text: String| object(path, Some(text.into_bytes()));
        let (directory, rest) = name.split_at(2);
        assert_eq!(redirect(format!("/{directory}/{rest}.file")).unwrap().as_str(), name);
        for wrong in [format!("/{directory}/../{rest}.file"), "/etc/shadow".to_owned(), String::new(), name] {
            assert!(matches!(redirect(wrong), Err(ListError::NoObject(..))));
        }
        assert!(object(path, None).unwrap_err().to_string().starts_with("the file /usr/bin/sh in it"));
    }

    #[test]
    fn a_digest_is_all_of_it_or_none() {
        let path = Path::new("file");
        let whole = [&[0, 36, 0, 1][..], &[7; 32]].concat();
        assert_eq!(digest(path, &whole), Ok(Some([7; 32])));
        assert_eq!(digest(path, &[]), Ok(None));
        for wrong in [&whole[..35], &[0, 36, 0, 1], &[1, 36, 0, 1], &[0, 36, 0, 2], &[0]] {
            assert_eq!(digest(path, wrong), Err(ListError::OtherDigest(path.to_owned())));
        }
    }
}
