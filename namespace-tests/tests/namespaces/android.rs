//! Android's slots: links of their own, which the boot loader's `androidboot.*` arguments choose.

use std::path::Path;

use anyhow::{Result, ensure};
use namespace_tests::Initramfs;

use crate::bad_input::refused;
use crate::recovery::links_out_of_step;

fn boots(initramfs: &Initramfs, cmdline: &str, warning: &str) -> Result<()> {
    let outcome = initramfs.run(["--systemd=yes", "/sysroot", cmdline])?;
    ensure!(outcome.code == Some(0) && outcome.told().contains(warning), "{outcome:?}");
    let table = initramfs.mounts()?;
    ensure!(table.contains(&format!("/sysroot tmpfs of /{} ", initramfs.disk.deployment)), "{table}");
    // The slot's link is missing, or its text has no stateroot: libostree's generator mounts no /var.
    ensure!(table.contains("/sysroot/var tmpfs of /ostree/deploy/os/var "), "{table}");
    ensure!(!Path::new("/run/ostree/initramfs-mount-var").exists());
    Ok(())
}

pub(crate) fn a_slot_whose_boot_link_is_missing_boots(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.link("ostree/root.a", &format!("..{}", disk.bootlink))?;
    links_out_of_step(initramfs)?;
    let other = disk.deploy('b', 0)?;
    disk.file(&format!("{other}/usr/lib/modules/6.1/vmlinuz"), "another kernel")?;
    let cmdline = "androidboot.slot_suffix=_a androidboot.bootdevice=x root=PARTLABEL=system_a rw ostree=true";
    boots(initramfs, cmdline, &format!("boot link {} is missing; booting", disk.bootlink))?;
    let record = initramfs.read("/run/ostree/recovered-boot")?;
    let slot = format!(" && ln -sfnT {} /sysroot/ostree/root.a && sync\n", text_of_slot(initramfs));
    ensure!(record.contains(&slot), "{record}");
    Ok(())
}

pub(crate) fn without_a_link_of_the_slot_ostree_counts(initramfs: &mut Initramfs) -> Result<()> {
    let argument = initramfs.disk.argument();
    let warning = format!("requests /ostree/root.a, which does not exist; booting the deployment of {argument}");
    let cmdline = format!("androidboot.bootdevice=x {argument}");
    initramfs.keep_disk()?;
    boots(initramfs, &cmdline, &warning)?;
    initramfs.start_over()?;
    // What the machine says of /var counts: mounted here, it would never be looked at.
    let fstab = format!("{}/etc/fstab", initramfs.disk.deployment);
    initramfs.disk.file(&fstab, "LABEL=root / auto\nLABEL=var\t/var\tauto\n")?;
    let outcome = initramfs.run(["--systemd=yes", "/sysroot", &cmdline])?;
    let table = initramfs.mounts()?;
    ensure!(outcome.code == Some(0) && !table.contains("/sysroot/var "), "{outcome:?}\n{table}");
    Ok(())
}

pub(crate) fn a_slot_is_repaired_by_what_the_report_says(initramfs: &mut Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.link("ostree/root.a", "../ostree/boot.1/os/gone/0")?;
    // A link that is there counts, whatever it is; ostree= does not.
    let cmdline = format!("androidboot.slot_suffix=_a {}", disk.argument());
    let target = text_of_slot(initramfs);
    // The shell finds the only name that fits.
    let repair = "cd /sysroot/ostree ln -sfn deploy/os/deploy/aaaa*.0 root.a ";
    let fits = |name: &str| name.starts_with("aaaa") && name.ends_with(".0");
    let names = std::fs::read_dir(disk.path("ostree/deploy/os/deploy"))?.flatten();
    let names: Vec<_> = names.filter(|entry| entry.file_name().to_str().is_some_and(fits)).collect();
    ensure!(names.len() == 1 && names.iter().all(|entry| entry.path().ends_with(&disk.deployment)), "{names:?}");
    let words = ["the boot link /ostree/root.a leads to ../ostree/boot.1/os/gone/0, which does not exist", repair];
    let outcome = refused(initramfs, &["/sysroot", &cmdline], &words)?;
    ensure!(
        !outcome.told().contains("firstroot.deployment=") && !outcome.told().contains(" ostree=/"),
        "{}",
        outcome.stderr
    );
    disk.remove("ostree/root.a")?;
    disk.link("ostree/root.a", &target)?;
    let outcome = initramfs.run(["--systemd=yes", "/sysroot", &cmdline])?;
    ensure!(outcome.code == Some(0) && outcome.stderr.is_empty(), "{outcome:?}");
    // libostree's generator does that.
    ensure!(!initramfs.mounts()?.contains("/sysroot/var "), "{}", initramfs.mounts()?);
    Ok(())
}

/// The form in which aboot's tools write it, and libostree's generator reads it.
fn text_of_slot(initramfs: &Initramfs) -> String {
    initramfs.disk.deployment.replacen("ostree/", "", 1)
}
