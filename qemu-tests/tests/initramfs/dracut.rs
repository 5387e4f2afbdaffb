//! Our dracut module.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use qemu_tests::cache::workspace;
use qemu_tests::command::run;
use qemu_tests::guest::Guest;
use qemu_tests::package::Package;

use crate::build::{Build, UNIT};

pub(crate) fn the_image_has_what_a_boot_needs(guest: Guest) -> Result<()> {
    let build = Build::configured(guest)?;
    let image = build.dracut("")?;
    image.has_what_is_read(guest)?;
    image.requires_unit()?;
    let unit = image.read(&format!("usr/lib/systemd/system/{UNIT}"))?;
    ensure!(!unit.contains("\n#"), "comments are loaded in each boot:\n{unit}");
    // libostree's module, which is in the guest as well, wants its unit by this target.
    ensure!(!image.path(&format!("usr/lib/systemd/system/initrd-root-fs.target.wants/{UNIT}")).exists());
    for module in ["overlay", "erofs", "loop"] {
        ensure!(image.has_module(module)?, "the image has no {module}");
    }
    Ok(())
}

/// The dracut that runs is of a system without our files, and so is the one whose files it must not take.
pub(crate) fn another_tree_than_its_own_gives_the_same_image(guest: Guest) -> Result<()> {
    let conf = "[sysroot]\nreadonly=true\n";
    let build = Build::on(guest)?
        .with_file("usr/share/image.conf", conf)?
        .with_link("etc/ostree/prepare-root.conf", "/usr/share/image.conf")?
        .with_link("etc/ostree/prepare-root.conf.d/20-off.conf", "/dev/null")?
        .with_file("usr/lib/ostree/prepare-root.conf.d/30-image.conf", "[boot]\nrecover=no\n")?;
    let image = build.dracut_of_another_tree()?;
    ensure!(image.read("etc/ostree/prepare-root.conf")? == conf);
    ensure!(image.read("usr/lib/ostree/prepare-root.conf.d/30-image.conf")? == "[boot]\nrecover=no\n");
    let off = fs::read_link(image.path("etc/ostree/prepare-root.conf.d/20-off.conf"))?;
    ensure!(off == Path::new("/dev/null"), "{}", off.display());
    image.has_unit()?;
    image.has_program()?;
    Ok(())
}

pub(crate) fn who_mounts_boot_can_be_said(guest: Guest) -> Result<()> {
    let conf = "[sysroot]\nreadonly=true\n[boot]\nrecover=yes\n[boot]\nmount = no\n";
    let build = Build::on(guest)?.with_file("etc/ostree/prepare-root.conf", conf)?;
    let image = build.dracut("")?;
    ensure!(image.read("etc/ostree/prepare-root.conf")? == conf);
    ensure!(!image.path("usr/lib/ostree/prepare-root.conf.d/10-initramfs.conf").exists(), "the module overrules it");
    Ok(())
}

pub(crate) fn a_bad_configuration_stops_the_build(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?.with_file("etc/ostree/prepare-root.conf", "[sysroot]\nreadonly=perhaps\n")?;
    let error = match build.dracut("") {
        Ok(_) => anyhow::bail!("an image was made"),
        Err(error) => format!("{error:#}"),
    };
    for part in
        ["/etc/ostree/prepare-root.conf", "readonly", "perhaps", "the configuration of ostree-prepare-root is unusable"]
    {
        ensure!(error.contains(part), "no {part:?} in {error}");
    }
    ensure!(!build.out.path().join("image").exists(), "an image was left");
    Ok(())
}

pub(crate) fn without_systemd_a_hook_runs_it(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?;
    let image = build.dracut("--omit 'systemd systemd-initrd dracut-systemd' --add ostree")?;
    let hooks = ["usr/lib/dracut/hooks", "var/lib/dracut/hooks"];
    let mut hook = hooks.iter().map(|hooks| image.path(&format!("{hooks}/pre-pivot/00-ostree-prepare-root.sh")));
    ensure!(hook.any(|path| path.exists()), "no hook in the image");
    // Without it dracut 059 unmounts a physical root, which has no /proc, before ours is reached.
    let mut hook = hooks.iter().map(|hooks| image.path(&format!("{hooks}/pre-mount/00-ostree-usable-root.sh")));
    ensure!(hook.any(|path| path.exists()), "no hook for the check of the root in the image");
    ensure!(!image.path("usr/lib/systemd/systemd").exists(), "systemd is in the image");
    Ok(())
}

/// `make install-initrd` is for an initramfs that is made from packages: no generator runs a hook there.
pub(crate) fn an_initramfs_of_packages_has_the_same(guest: Guest) -> Result<()> {
    let build = Build::on(guest)?;
    let image = build.dracut("")?;
    let packaged = tempfile::tempdir()?;
    let mut make = Command::new("make");
    make.args(["--silent", "install-initrd"]).arg(format!("DESTDIR={}", packaged.path().display()));
    run(make.current_dir(workspace()))?;
    let mut paths = Package::at(packaged.path()).paths()?;
    ensure!(paths.len() == 10, "{paths:?}");
    for path in paths.drain(..) {
        let (ours, of_dracut) = (packaged.path().join(&path), image.path(&path));
        if ours.is_symlink() {
            ensure!(fs::read_link(&ours)? == fs::read_link(&of_dracut)?, "{path} leads elsewhere");
        } else if path.starts_with("usr/lib/systemd/") {
            image.has_unit()?;
            let name = Path::new(&path).file_name().unwrap_or_default();
            ensure!(fs::read(&ours)? == fs::read(workspace().join("units/initrd").join(name))?, "another {path}");
        } else {
            ensure!(fs::read(&ours)? == fs::read(&of_dracut)?, "another {path}");
        }
    }
    Ok(())
}
