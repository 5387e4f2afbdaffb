//! Names below `/boot/ostree`: pure.

use ostree_formats::bootlink::Bootcsum;
use ostree_formats::deployment::{Checksum, Stateroot};

/// A new failure stamp, until it is whole and durable.
pub const NEW_STAMP: &str = ".finalize-failure.stamp.new";

/// Beside `ostree` in `/boot`: a copy of it that takes its place.
pub const COPY_OF_OSTREE: &str = "ostree.new";

/// The name of the directory of a deployment's kernel in `boot/ostree`.
pub fn kernel_directory(stateroot: &Stateroot, bootcsum: &Bootcsum) -> String {
    format!("{stateroot}-{bootcsum}")
}

/// Whether a name in `boot/ostree` is that of a kernel's directory: `STATEROOT-BOOTCSUM`.
pub fn is_kernel_directory(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(_, sum)| sum.parse::<Bootcsum>().is_ok())
}

/// The path of an overlay initrd in `boot/ostree`.
pub fn overlay_file(checksum: &Checksum) -> String {
    format!("initramfs-overlays/{checksum}.img")
}

/// The name of the directory in `boot/ostree` for what will be `directory`, while it is put there before shutdown.
///
/// libostree does not take it for one of its own: that trusts every file in a directory whose name ends in `-BOOTCSUM`, whole or not.
pub fn prepared(directory: &str) -> String {
    format!("{directory}.prepared")
}

/// Whether a name in `boot/ostree` is that of such a directory, or of one that is being made to be one.
pub fn is_prepared(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    name.strip_suffix(".prepared").is_some_and(is_kernel_directory)
}
