//! Debian 12's Linux 6.1, which mounts no image from its file and knows no overlay with data-only layers, under a deployment with an
//! image. That ostree makes none; the newest one does, whatever the configuration says.

use anyhow::{Result, ensure};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::namespace::{Namespace, quoted};
use qemu_tests::rootfs::Rootfs;
use qemu_tests::scenario::Scenario;

use crate::{contains, is_well, scenario};

/// Deployed again by the newest `ostree`, with an image that is demanded.
fn with_an_image(guest: Guest) -> Result<Scenario> {
    Ok(scenario(guest, "script-initramfs")?.prepare_root_conf("[composefs]\nenabled=yes\n").with_disk_changed_by(
        |root| {
            let newest = Rootfs::of(Guest::Forky, &Cache::open()?)?;
            Namespace::of(&newest.path())
                .mounted(&format!("--rbind {}", quoted(root)), "/target")
                .run(
                    "ostree admin deploy --sysroot=/target --os=default firstroot/guest
                 test -s /target/ostree/deploy/default/deploy/*.1/.ostree.cfs; sync -f /target",
                )
                .map(drop)
        },
    ))
}

pub(crate) fn an_image_that_it_cannot_mount_is_refused_by_name(guest: Guest) -> Result<()> {
    // Loud enough for the driver of the image to be heard.
    let report = with_an_image(guest)?.kernel_arguments(["loglevel=7"]).run()?;
    ensure!(!report.came_up(), "it came up");
    // The report is broken into lines of a screen.
    let words = report.console()?.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "erofs: (device loop0): mounted with root inode",
        "cannot mount an overlay with data-only layers (needs Linux 6.5; this is 6.1.",
        "likely cause: the kernel is too old for composefs images",
    ] {
        contains(&words, part)?;
    }
    Ok(())
}

/// What the report of the other one tells to do.
pub(crate) fn without_its_image_the_deployment_boots(guest: Guest) -> Result<()> {
    let report = with_an_image(guest)?.kernel_arguments(["ostree.prepare-root.composefs=no"]).run()?;
    is_well(&report)?;
    let table = report.mount_table()?;
    ensure!(table.at("/").is_some_and(|mount| mount.fstype == "ext4"), "{table}");
    ensure!(table.at("/usr").is_some_and(|mount| mount.is_read_only()), "{table}");
    Ok(())
}
