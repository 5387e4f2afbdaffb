//! Initramfs made by initramfs-tools.

use anyhow::Result;

use crate::cache::{Artefact, Cache, Recipe};
use crate::namespace::Namespace;
use crate::package::Package;
use crate::rootfs::Rootfs;

/// The image as an administrator of a virtual machine would have it made: with the drivers that the guest needs, and none of
/// hardware. What our hook asks for is not among them. Not compressed, because each instruction is emulated.
const CONFIGURE: &str = "
    printf 'MODULES=list\\nRESUME=none\\n' >/etc/initramfs-tools/conf.d/firstroot-guest
    printf 'virtio_blk\\next4\\n' >>/etc/initramfs-tools/modules
";

/// The initramfs of `rootfs`, with our hook.
pub fn of(rootfs: &Rootfs, cache: &Cache) -> Result<Artefact> {
    let package = Package::find()?;
    let recipe = package.add_to(Recipe::new(include_str!("initramfs_tools.rs")).made_from(rootfs.artefact()))?;
    let namespace = Namespace::of(&rootfs.path()).overlaid_with(package.path());
    let name = format!("initramfs-{}", rootfs.guest());
    cache.artefact(&name, &recipe, |directory| {
        let kernel_version = rootfs.kernel_version()?;
        let make = made(&kernel_version, "/out");
        namespace.bound(directory, "/out").run(&format!("{CONFIGURE}\n{make}")).map(drop)
    })
}

/// The script that makes `initramfs.img` in `directory`, as the build of an image would.
pub fn made(kernel_version: &str, directory: &str) -> String {
    format!(
        "mkinitramfs -o {directory}/initramfs.img.gz -c gzip '{kernel_version}' >{directory}/log 2>&1 \
             || {{ cat {directory}/log; exit 1; }}
         gzip -dc <{directory}/initramfs.img.gz >{directory}/initramfs.img; rm {directory}/initramfs.img.gz"
    )
}
