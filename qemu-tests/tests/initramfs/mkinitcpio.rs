//! Our hooks for mkinitcpio, which Debian does not have: run by a stand-in that has the functions that they call.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;

use crate::build::{Build, UNIT};

pub(crate) fn with_the_hook_systemd_a_unit_runs_it(guest: Guest) -> Result<()> {
    let build = Build::configured(guest)?;
    let image = build.mkinitcpio("systemd")?;
    image.has_what_is_read(guest)?;
    image.requires_unit()?;
    ensure!(image.read("modules")? == "overlay\nerofs\nloop\n");
    ensure!(!image.path("hooks/firstroot").exists(), "busybox' init is not in this image");
    Ok(())
}

pub(crate) fn without_it_a_late_hook_does(guest: Guest) -> Result<()> {
    let build = Build::configured(guest)?;
    let image = build.mkinitcpio("")?;
    image.has_what_is_read(guest)?;
    ensure!(image.read("hooks/firstroot")?.contains("run_latehook() {"));
    ensure!(!image.path("usr/lib/systemd").join(UNIT).exists() && !image.path("usr/lib/systemd").exists());
    Ok(())
}

pub(crate) fn a_bad_configuration_stops_the_build(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?.with_file("etc/ostree/prepare-root.conf", "[sysroot]\nreadonly=perhaps\n")?;
    let error = match build.mkinitcpio("systemd") {
        Ok(_) => anyhow::bail!("an image was made"),
        Err(error) => format!("{error:#}"),
    };
    for part in ["perhaps", "the configuration of ostree-prepare-root is unusable", "1 errors in the build"] {
        ensure!(error.contains(part), "no {part:?} in {error}");
    }
    Ok(())
}
