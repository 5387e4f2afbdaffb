//! Initramfs made by the guest's own generator.

use anyhow::{Result, ensure};

use crate::cache::{Artefact, Cache};
use crate::dracut;
use crate::guest::Generator;
use crate::initramfs_tools;
use crate::package::Provider;
use crate::rootfs::Rootfs;

/// An initramfs with prepare-root in it: a directory with the file `initramfs.img`, which is not compressed.
pub fn of(rootfs: &Rootfs, provider: Provider, cache: &Cache) -> Result<Artefact> {
    match rootfs.guest().generator() {
        Generator::Dracut => dracut::of(rootfs, provider, cache),
        Generator::InitramfsTools => {
            ensure!(provider == Provider::Ours, "libostree has no hook for initramfs-tools");
            initramfs_tools::of(rootfs, cache)
        }
    }
}
