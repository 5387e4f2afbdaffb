//! A `/boot` of its own, as an initramfs finds it that has to make another list the active one.

use esp_projection::read::filesystem;
use ostree_formats::boot_attempts::BootFilesystem;
use ostree_sysroot::Roots;
use system::SystemError;

/// How it finds it; `None`, with a warning, if it cannot.
pub(super) fn found(roots: &Roots) -> Result<Option<BootFilesystem>, SystemError> {
    let found = filesystem::of(roots, &roots.boot, "/boot")?;
    let why = match (found.fstype, found.uuid) {
        (Some(fstype), Some(uuid)) if found.is_whole => return Ok(Some(BootFilesystem { fstype, uuid })),
        (Some(_), Some(_)) => "is a directory or subvolume of its filesystem",
        _ => "has a filesystem whose UUID udev does not know",
    };
    log::warn!(
        "if the default does not come up, nothing with another kernel boots in its place: /boot ({}) {why}",
        found.source
    );
    Ok(None)
}
