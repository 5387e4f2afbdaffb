//! Who runs this program.

use serde::Serialize;

/// Who runs this program. It decides what the rest of the boot mounts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Caller {
    /// systemd in an initramfs: it switches root, and mounts `/var` and (with newer libostree) `/boot` later.
    Systemd,
    /// A script in an initramfs, which switches root. What is mounted later depends on the init that it starts.
    Script,
    /// PID 1 without an initramfs: the physical root is `/`.
    Pid1,
}

/// Whether systemd is there to mount `/var` and `/boot` later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SystemdMode {
    /// If `/run/systemd/system` exists (sd_booted(3)), or if a script will start the deployment's systemd.
    #[default]
    Auto,
    Yes,
    No,
}
