//! What the hook for initramfs-tools adds to an initramfs. libostree has none.

use std::process::Command;

use anyhow::Result;
use qemu_tests::cache::{Cache, Recipe};
use qemu_tests::guest::Guest;
use qemu_tests::namespace::Namespace;
use qemu_tests::package::Package;
use qemu_tests::rootfs::Rootfs;

use super::{Sizes, size};
use crate::workspace::run;

/// As Debian's initramfs-tools compresses.
const LEVEL: &str = "-9";

/// Two lines: the hook's part of an image that has the kernel modules already, and of one that has not.
pub(crate) fn figures(cache: &Cache) -> Result<String> {
    let rootfs = Rootfs::of(Guest::TrixieInitramfsTools, cache)?;
    let package = Package::find()?;
    let without = made("without", "", &rootfs, None, cache)?;
    let modules = "printf 'overlay\\nerofs\\nloop\\n' >>/etc/initramfs-tools/modules\n";
    let with_modules = made("modules", modules, &rootfs, None, cache)?;
    let with_hook = made("hook", "", &rootfs, Some(&package), cache)?;
    let added = |what: &str, before: &Sizes| {
        let (raw, compressed) = (with_hook.raw - before.raw, with_hook.compressed - before.compressed);
        format!("  {what:<48} {:>7.0} kB {:>7.0} kB\n", raw / 1e3, compressed / 1e3)
    };
    Ok(format!(
        "added by firstroot's hook to the initramfs of initramfs-tools ({}; libostree has no hook): raw, zstd {LEVEL}\n{}{}",
        rootfs.guest(),
        added("program, configuration and scripts", &with_modules),
        added("the same with overlay, erofs and loop", &without),
    ))
}

/// An image with no drivers but those that are asked for: with all of them the difference is the same, and takes longer.
fn made(name: &str, configure: &str, rootfs: &Rootfs, package: Option<&Package>, cache: &Cache) -> Result<Sizes> {
    let mut recipe =
        Recipe::new(include_str!("initramfs_tools.rs")).made_from(rootfs.artefact()).with("configure", configure);
    let mut namespace = Namespace::of(&rootfs.path());
    if let Some(package) = package {
        recipe = package.add_to(recipe)?;
        namespace = namespace.overlaid_with(package.path());
    }
    let artefact = cache.artefact(&format!("bench-{}-{name}", rootfs.guest()), &recipe, |directory| {
        let make = qemu_tests::initramfs_tools::made(&rootfs.kernel_version()?, "/out");
        let few = "echo MODULES=list >/etc/initramfs-tools/conf.d/few";
        namespace.bound(directory, "/out").run(&format!("{few}\n{configure}{make}"))?;
        run(Command::new("zstd").args([LEVEL, "--quiet"]).arg(directory.join("initramfs.img")))
    })?;
    let image = artefact.path().join("initramfs.img");
    Ok(Sizes { raw: size(&image)?, compressed: size(&image.with_extension("img.zst"))? })
}
