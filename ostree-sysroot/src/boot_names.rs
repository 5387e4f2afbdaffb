//! Names below `/boot/ostree`: pure.

use ostree_formats::bootlink::Bootcsum;
use ostree_formats::deployment::{Checksum, Stateroot};

/// A new failure stamp, until it is complete and durable.
pub const NEW_STAMP: &str = ".finalize-failure.stamp.new";

/// Beside `ostree` in `/boot`: a copy that replaces it.
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

/// The name in `boot/ostree` under which `--prepare` makes `directory` before shutdown.
///
/// It does not end in `-BOOTCSUM`, because libostree uses every file in a directory with such a name, complete or not.
pub fn prepared(directory: &str) -> String {
    format!("{directory}.prepared")
}

/// Whether a name in `boot/ostree` is that of a prepared directory, complete or not.
pub fn is_prepared(name: &str) -> bool {
    let name = name.strip_suffix(".new").unwrap_or(name);
    name.strip_suffix(".prepared").is_some_and(is_kernel_directory)
}
