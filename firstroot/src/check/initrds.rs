//! Unpacking, with what it finds.

use std::io::Read;

use super::model::Finding;
use crate::initramfs::{self, Contents};

/// Unpacks an initramfs.
pub(super) fn read(file: impl Read, contents: &mut Contents, shown: &str) -> Result<(), Finding> {
    initramfs::read(file, contents).map_err(|error| {
        let text = format!("the initramfs cannot be unpacked: {error}");
        if error.is_certain() {
            Finding::bad(shown, text, "boot another entry, and build the initramfs again".to_owned())
        } else {
            Finding::unknown(shown, text, format!("look into it: lsinitrd {shown}"))
        }
    })
}
