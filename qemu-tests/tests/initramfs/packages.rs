//! Our files beside those of other packages.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use qemu_tests::dpkg;
use qemu_tests::guest::{Generator, Guest};
use qemu_tests::package::{INSTALLED_PREPARE_ROOT, PREPARE_ROOT};

use crate::build::Build;

/// Where our package can be installed beside all others of the guest, libostree's first of all: no file is in two of them.
pub(crate) fn no_path_is_another_packages(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?;
    let ours: BTreeSet<String> = build.package.paths()?.into_iter().map(|path| format!("/{path}")).collect();
    ensure!(ours.contains(&format!("/{INSTALLED_PREPARE_ROOT}")), "our list is another one: {ours:?}");
    let mut seen = BTreeSet::new();
    for (package, files) in dpkg::packages(&build.rootfs.path())? {
        // Packages compress their manual pages.
        let common: Vec<&str> =
            files.iter().map(|file| file.trim_end_matches(".gz")).filter(|file| ours.contains(*file)).collect();
        ensure!(common.is_empty(), "{package} has, too: {common:?}");
        ensure!(package != "ostree-boot" || files.iter().any(|file| file == &format!("/{PREPARE_ROOT}")), "{files:?}");
        seen.insert(package);
    }
    let generator = if guest.generator() == Generator::Dracut { "dracut" } else { "initramfs-tools-core" };
    ensure!(["ostree", "ostree-boot", generator].iter().all(|name| seen.contains(*name)), "not all packages: {seen:?}");
    Ok(())
}
