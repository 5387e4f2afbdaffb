//! `/run/ostree-booted` of a test.

use ostree_formats::booted_state::{BootedState, ComposefsState};

/// As prepare-root writes it for a plain deployment.
pub(crate) fn plain() -> BootedState {
    BootedState {
        device: 1,
        inode: 2,
        root_transient: false,
        root_transient_ro: false,
        composefs: None,
        sysroot_ro: false,
        transient_etc: None,
    }
}

/// For an image.
pub(crate) fn image() -> BootedState {
    BootedState { composefs: Some(ComposefsState { verity: false, signed_by: None }), ..plain() }
}

/// A shell command that writes these bytes to the file.
pub(crate) fn write(bytes: &[u8]) -> String {
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{octal}' >/run/ostree-booted\n")
}
