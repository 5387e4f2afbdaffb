//! What runs on the boot path of the real root, after the initramfs and before `local-fs.target`: the generator of units, the remounts,
//! and the overlays for state. Each has a room of its own and is started by its name: they are in the same binary as
//! `ostree-finalize-staged`, because a static binary for each would need a megabyte more.
//!
//! Each reads first, decides in values, and acts in one place.

#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod generator;
pub mod remount;
pub mod state_overlay;
mod status;

use std::ffi::OsString;

pub use status::Status;

/// Runs a program with its arguments, without its name.
pub type Program = fn(Vec<OsString>) -> Status;

/// The program that is called by this name, which may be a path.
pub fn by_name(name: &[u8]) -> Option<Program> {
    match name.rsplit(|byte| *byte == b'/').next()? {
        b"ostree-system-generator" => Some(generator::run),
        b"ostree-remount" => Some(remount::run),
        b"ostree-state-overlay" => Some(state_overlay::run),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::by_name;

    #[test]
    fn a_path_is_a_name() {
        for name in ["ostree-remount", "/usr/lib/firstroot/ostree-system-generator", "./ostree-state-overlay"] {
            assert!(by_name(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["", "ostree-finalize-staged", "ostree-remount/", "remount", "ostree-remount.service"] {
            assert!(by_name(name.as_bytes()).is_none(), "{name}");
        }
    }
}
