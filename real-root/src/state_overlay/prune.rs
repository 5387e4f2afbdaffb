//! Removes from an upper layer what hides files of the new tree.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::Kind;
use system::{dir, tree, xattr};

/// Marks a directory of the upper layer that hides all that is in the lower one.
const OPAQUE: &[u8] = b"trusted.overlay.opaque";

/// What becomes of a name in the upper layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The tree has no such name.
    Stays,
    /// A directory in both layers.
    IsLookedInto,
    /// It hides the tree's.
    Goes,
}

/// `lower`: the same name in the tree. A removal of the overlay's is a device.
fn fate(upper: Kind, lower: Option<Kind>, is_opaque: bool) -> Fate {
    match (upper, lower) {
        (_, None) => Fate::Stays,
        (Kind::Directory, Some(Kind::Directory)) if !is_opaque => Fate::IsLookedInto,
        _ => Fate::Goes,
    }
}

/// Goes through the directories that both have, one at a time.
pub(super) fn prune(upper: BorrowedFd<'_>, lower: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut shared: Vec<Vec<u8>> = vec![b".".to_vec()];
    while let Some(path) = shared.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let above = dir::open_plainly(upper, OsStr::from_bytes(&path), flags)?;
        let below = dir::open(lower, OsStr::from_bytes(&path), flags)?;
        for (name, kind) in tree::entries(&above)? {
            let in_tree = tree::look_up(&below, &name)?;
            let may_share = kind == Kind::Directory && in_tree == Some(Kind::Directory);
            let is_opaque = may_share && is_opaque(above.as_fd(), &name)?;
            match fate(kind, in_tree, is_opaque) {
                Fate::Stays => {}
                Fate::IsLookedInto => shared.push([path.as_slice(), b"/", &name].concat()),
                Fate::Goes => tree::remove(&above, &name)?,
            }
        }
    }
    Ok(())
}

fn is_opaque(directory: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    Ok(xattr::get(tree::open(directory, name)?, OPAQUE)?.as_deref() == Some(b"y"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn what_hides_a_file_of_the_tree_goes() {
        for (upper, lower, is_opaque, expected) in [
            (Kind::File, None, false, Fate::Stays),
            (Kind::Other, None, false, Fate::Stays),
            (Kind::Directory, None, false, Fate::Stays),
            (Kind::File, Some(Kind::File), false, Fate::Goes),
            (Kind::Other, Some(Kind::Directory), false, Fate::Goes),
            (Kind::Directory, Some(Kind::File), false, Fate::Goes),
            (Kind::Directory, Some(Kind::Link), false, Fate::Goes),
            (Kind::Link, Some(Kind::Directory), false, Fate::Goes),
            (Kind::Directory, Some(Kind::Directory), false, Fate::IsLookedInto),
            (Kind::Directory, Some(Kind::Directory), true, Fate::Goes),
        ] {
            assert_eq!(fate(upper, lower, is_opaque), expected, "{upper:?} {lower:?} {is_opaque}");
        }
    }

    #[test]
    fn state_stays_at_any_depth() {
        let place = tempfile::tempdir().unwrap();
        let deep = "d/".repeat(200);
        for (layer, file) in [("lower", "shipped"), ("upper", "shipped"), ("upper", "state")] {
            let directory = place.path().join(layer).join(&deep);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(file), "").unwrap();
        }
        fs::create_dir_all(place.path().join("upper/own/tree")).unwrap();
        let open = |path: &Path| fs::File::open(path).unwrap();
        let (upper, lower) = (place.path().join("upper"), place.path().join("lower"));
        prune(open(&upper).as_fd(), open(&lower).as_fd()).unwrap();
        assert!(!upper.join(&deep).join("shipped").exists());
        assert!(upper.join(&deep).join("state").exists() && upper.join("own/tree").exists());
    }
}
