//! What the dracut module adds to an initramfs, with everything that comes with it.

pub(crate) mod initramfs_tools;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::cache::{Cache, Recipe};
use qemu_tests::guest::Guest;
use qemu_tests::namespace::Namespace;
use qemu_tests::package::Package;
use qemu_tests::rootfs::Rootfs;

use super::table::{Comparison, Goal, Section, Unit};
use crate::workspace::run;

/// An initramfs for any machine, except that drivers of hardware are left out, only to be done sooner. The kernel modules that
/// ours or the peer's asks for are in every such initramfs, so they are in all that are compared.
const OPTIONS: &str = "--force --no-hostonly --no-hostonly-cmdline --no-early-microcode --reproducible --compress cat \
                       --add-drivers 'overlay erofs loop' --omit 'kernel-modules kernel-modules-extra'";

/// As dracut compresses.
const LEVEL: &str = "-15";

/// Sizes in bytes.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    raw: f64,
    compressed: f64,
}

/// The figures of dracut alone.
pub(crate) fn section(guest: Guest, cache: &Cache) -> Result<Section> {
    let comparisons = compare(&Rootfs::of(guest, cache)?, cache)?;
    Ok(Section { title: format!("dracut of Debian {guest}"), comparisons })
}

/// Ours and the peer's: each an initramfs with the module, less the same one without it.
pub(crate) fn compare(rootfs: &Rootfs, cache: &Cache) -> Result<Vec<Comparison>> {
    let without = made("without", "--omit ostree", rootfs, None, cache)?;
    let peer = made("peer", "--add ostree", rootfs, None, cache)?;
    let ours = made("ours", "--add ostree", rootfs, Some(&Package::find()?), cache)?;
    let added = |what: &str, size: fn(&Sizes) -> f64| Comparison {
        what: format!("added to the initramfs, {what}"),
        unit: Unit::Bytes,
        ours: size(&ours) - size(&without),
        peer: size(&peer) - size(&without),
        // Without signatures, which the peer is built without, it was 0.3.
        goal: Goal::Binding(0.39),
    };
    Ok(vec![added("raw", |sizes| sizes.raw), added("zstd", |sizes| sizes.compressed)])
}

fn made(name: &str, selection: &str, rootfs: &Rootfs, package: Option<&Package>, cache: &Cache) -> Result<Sizes> {
    let mut recipe = Recipe::new(include_str!("initramfs_size.rs")).made_from(rootfs.artefact());
    let mut namespace = Namespace::of(&rootfs.path());
    if let Some(package) = package {
        recipe = package.add_to(recipe)?;
        namespace = namespace.overlaid_with(package.path());
    }
    let name = format!("bench-{}-{name}", rootfs.guest());
    let artefact = cache.artefact(&name, &recipe, |directory| {
        let kernel_version = rootfs.kernel_version()?;
        namespace.bound(directory, "/out").run(&format!(
            "dracut {OPTIONS} {selection} --kver '{kernel_version}' /out/initramfs.img >/out/dracut.log 2>&1 \
             || {{ cat /out/dracut.log; exit 1; }}"
        ))?;
        run(Command::new("zstd").args([LEVEL, "--quiet"]).arg(directory.join("initramfs.img")))
    })?;
    let image = artefact.path().join("initramfs.img");
    Ok(Sizes { raw: size(&image)?, compressed: size(&image.with_extension("img.zst"))? })
}

fn size(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file).with_context(|| file.display().to_string())?.len() as f64)
}
