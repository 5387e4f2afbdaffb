//! Properties of this crate's parsers that hold for any bytes. Not in the shipped program.

use std::path::Path;

use ostree_formats::{fstab, mountinfo};

use crate::execute::program::{Needs, PAGE, needs};
use crate::plan::places::STAGING;
use crate::read::mount_state;
use crate::verify::image_objects::{digest, object};

/// `/etc/fstab`: comments and other lines do not change whether it mounts `/var`.
pub fn fstab(bytes: &[u8]) {
    let mounts_var = fstab::mounts_var(bytes);
    let with = |line: &[u8]| fstab::mounts_var(&[bytes, b"\n", line, b"\n"].concat());
    assert_eq!(with(b"# /dev/sda1 /var ext4"), mounts_var);
    assert_eq!(with(b"/dev/sda1 /var/log ext4"), mounts_var);
    assert!(with(b"/dev/sda1 /var ext4"));
}

/// The first page of a program: an interpreter is one word, and the path of a loader has a valid length.
pub fn program(bytes: &[u8]) {
    match needs(bytes.get(..PAGE).unwrap_or(bytes)) {
        Needs::Nothing => {}
        Needs::Interpreter(path) => {
            assert!(!path.is_empty() && !path.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\n')));
        }
        Needs::Loader { length, .. } => assert!(length <= PAGE),
    }
}

/// The attributes of a file in a composefs image: the length of the metacopy, metacopy, redirect.
pub fn image_object(bytes: &[u8]) {
    let Some((length, rest)) = bytes.split_first() else { return };
    let (metacopy, redirect) = rest.split_at_checked(usize::from(*length)).unwrap_or((rest, &[]));
    let path = Path::new("usr/bin/sh");
    if let Ok(found) = object(path, Some(redirect.to_vec())) {
        assert_eq!(found.object("file").as_bytes(), [b"ostree/repo/objects", redirect].concat());
    }
    if let Ok(Some(digest)) = digest(path, metacopy) {
        assert!(metacopy.ends_with(&digest));
    }
}

/// A mount table: the leftovers of interrupted runs, and the deployment that is `/`, which must be in the table.
pub fn mount_table(bytes: &[u8]) {
    let mounts = mountinfo::parse(bytes);
    let sysroot = Path::new("/sysroot");
    let _ = (mount_state::leftover(&mounts, Path::new(STAGING), sysroot), mount_state::prepared(&mounts, sysroot));
    if let Some(root) = mount_state::root_of_deployment(&mounts) {
        assert!(root == "an overlay" || mounts.iter().any(|mount| mount.root.to_string_lossy().ends_with(&root)));
    }
}
