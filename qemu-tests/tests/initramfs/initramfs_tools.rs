//! Our hook for initramfs-tools.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;

use crate::build::Build;

pub(crate) fn the_image_has_what_a_boot_needs(guest: Guest) -> Result<()> {
    let build = Build::configured(guest)?;
    let image = build.initramfs_tools()?;
    image.has_what_is_read(guest)?;
    for place in ["local-bottom", "nfs-bottom"] {
        let order = image.read(&format!("scripts/{place}/ORDER"))?;
        ensure!(order.contains(&format!("/scripts/{place}/firstroot \"$@\"")), "{place}: {order}");
        ensure!(image.path(&format!("scripts/{place}/firstroot")).exists());
    }
    // This image has no driver that nobody asks for.
    for module in ["overlay", "erofs", "loop"] {
        ensure!(image.has_module(module)?, "the image has no {module}");
    }
    ensure!(!image.has_module("xfs")?, "the image has all drivers");
    Ok(())
}

pub(crate) fn a_bad_configuration_stops_the_build(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?.with_file("etc/ostree/prepare-root.conf", "[sysroot]\nreadonly=perhaps\n")?;
    let error = match build.initramfs_tools() {
        Ok(_) => anyhow::bail!("an image was made"),
        Err(error) => format!("{error:#}"),
    };
    for part in ["readonly", "perhaps", "the configuration of ostree-prepare-root is unusable"] {
        ensure!(error.contains(part), "no {part:?} in {error}");
    }
    ensure!(!build.out.path().join("initramfs.img").exists(), "an image was left");
    Ok(())
}
