//! Where the disks of a machine are while it runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::statvfs::statvfs;
use tempfile::TempDir;

const SPARE_SIZE: u64 = 1 << 30;
/// Room for what two machines have on their disks, beside their own memory.
const PLENTY: u64 = 8 << 30;

/// In memory where there is plenty: each time that a disk is unmounted here, all that was written to it would be waited for.
pub(crate) fn place_for_images(directory: &Path) -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let free = statvfs(memory).map_or(0, |found| found.blocks_available() * found.fragment_size());
    let place = if free >= PLENTY { memory } else { directory };
    tempfile::Builder::new().prefix("firstroot-images-").tempdir_in(place).context("a directory for images")
}

/// A disk with nothing on it.
pub(crate) fn empty_disk(directory: &Path) -> Result<PathBuf> {
    let image = directory.join("spare.img");
    fs::File::create(&image).and_then(|file| file.set_len(SPARE_SIZE)).context("creating the spare disk")?;
    Ok(image)
}

/// Console logs and reports stay; images are large, and can be made again.
pub(crate) fn remove_images(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))? {
        let path = entry.with_context(|| format!("listing {}", directory.display()))?.path();
        let image = path.extension().is_some_and(|extension| extension == "img");
        if image || path.file_name().is_some_and(|name| name == "vmlinux" || name == "vmlinuz") {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}
