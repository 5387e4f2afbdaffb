//! Boot links out of step with the boot loader's entries.

use anyhow::{Result, ensure};
use namespace_tests::{Initramfs, Outcome, listing};

use crate::bad_input::refused;

/// Every entry names `boot.1/…`; only `boot.0/…` is there.
pub(crate) fn links_out_of_step(initramfs: &Initramfs) -> Result<()> {
    let disk = &initramfs.disk;
    disk.remove("ostree/boot.1")?;
    disk.link("ostree/boot.0", "boot.0.1")?;
    std::fs::rename(disk.path("ostree/boot.1.1"), disk.path("ostree/boot.0.1"))?;
    Ok(())
}

fn booted(initramfs: &Initramfs, deployment: &str, outcome: &Outcome) -> Result<()> {
    ensure!(outcome.code == Some(0), "{outcome:?}");
    let warning = format!("the boot link {} is missing; booting /{deployment}, because ", initramfs.disk.bootlink);
    ensure!(outcome.told().contains(&warning), "{outcome:?}");
    let repair = "ostree may be unable to update before you repair the links: mount -o remount,rw /sysroot";
    ensure!(outcome.told().contains(repair), "{outcome:?}");
    let table = initramfs.mounts()?;
    ensure!(table.contains(&format!("/sysroot tmpfs of /{deployment} ")), "{table}");
    let record = initramfs.read("/run/ostree/recovered-boot")?;
    ensure!(record.contains(&format!("missing={}\ndeployment=/{deployment}\n", initramfs.disk.bootlink)), "{record}");
    Ok(())
}

pub(crate) fn the_only_deployment_with_that_kernel_is_booted(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let other = initramfs.disk.deploy('b', 0)?;
    initramfs.disk.file(&format!("{other}/usr/lib/modules/6.1/vmlinuz"), "another kernel")?;
    let planned = initramfs.run(["--plan", "--json", "/sysroot", &initramfs.disk.argument()])?;
    let json: serde_json::Value = serde_json::from_str(&planned.stdout)?;
    json_schemas::require("prepare-root-plan", &json)?;
    let missing = json.pointer("/recovery/missing").and_then(|missing| missing.as_str());
    ensure!(missing == Some(initramfs.disk.bootlink.as_str()), "{json:#}");
    let outcome = initramfs.boot()?;
    booted(initramfs, &initramfs.disk.deployment, &outcome)
}

pub(crate) fn of_two_with_one_commit_the_other_link_decides(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let newer = initramfs.disk.deploy('a', 1)?;
    initramfs.disk.remove(&format!("ostree/boot.0.1/os/{}/0", initramfs.disk.bootcsum))?;
    initramfs.disk.boot_link("boot.0.1", &initramfs.disk.bootcsum, 0, &newer)?;
    let outcome = initramfs.boot()?;
    booted(initramfs, &newer, &outcome)
}

pub(crate) fn of_two_commits_none_is_guessed(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let other = initramfs.disk.deploy('b', 0)?;
    let words =
        ["several deployments have this kernel", &initramfs.disk.deployment, &other, "which deployment was meant"];
    refused(initramfs, &["/sysroot", &initramfs.disk.argument()], &words)?;
    Ok(())
}

/// Any of them may be the one that was meant.
pub(crate) fn a_candidate_that_cannot_be_read_is_not_passed_over(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let other = initramfs.disk.deploy('b', 0)?;
    let kernel = format!("{other}/usr/lib/modules/6.1/vmlinuz");
    initramfs.disk.remove(&kernel)?;
    initramfs.disk.link(&kernel, "vmlinuz")?;
    let reason = "which might have been meant, cannot be checked: Too many levels of symbolic links";
    let words = [&format!("the deployment /{other}, {reason}")[..]];
    refused(initramfs, &["/sysroot", &initramfs.disk.argument()], &words)?;
    Ok(())
}

/// It has no `/etc` before it is finalized, and cannot have been meant.
pub(crate) fn a_staged_deployment_is_no_candidate(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let staged = initramfs.disk.deploy('b', 0)?;
    initramfs.disk.remove(&format!("{staged}/etc"))?;
    let outcome = initramfs.boot()?;
    booted(initramfs, &initramfs.disk.deployment, &outcome)
}

pub(crate) fn a_dangling_link_among_device_trees_is_passed_over(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    initramfs.disk.link(&format!("{}/usr/lib/modules/6.1/dtb/board.dtb", initramfs.disk.deployment), "gone.dtb")?;
    let outcome = initramfs.boot()?;
    booted(initramfs, &initramfs.disk.deployment, &outcome)
}

pub(crate) fn a_kernel_that_no_deployment_has_is_an_error(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    initramfs.disk.file(&format!("{}/usr/lib/modules/6.1/vmlinuz", initramfs.disk.deployment), "another kernel")?;
    refused(initramfs, &["/sysroot", &initramfs.disk.argument()], &["there is no boot link /ostree/boot.1/"])?;
    Ok(())
}

pub(crate) fn it_can_be_switched_off(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let argument = initramfs.disk.argument();
    for configuration in ["[boot]\nrecover=no\n", "[composefs]\nenabled=signed\n"] {
        initramfs.configure(configuration)?;
        refused(
            initramfs,
            &["/sysroot", &argument],
            &["there is no boot link /ostree/boot.1/", "boot links do not match"],
        )?;
    }
    initramfs.configure("")?;
    let signed = format!("{argument} ostree.prepare-root.composefs=signed");
    refused(initramfs, &["/sysroot", &signed], &["there is no boot link /ostree/boot.1/"])?;
    Ok(())
}

pub(crate) fn the_disk_is_not_written_to(initramfs: &mut Initramfs) -> Result<()> {
    links_out_of_step(initramfs)?;
    let before = listing(std::path::Path::new("/sysroot"))?;
    ensure!(initramfs.boot()?.code == Some(0));
    assert_eq!(listing(std::path::Path::new("/sysroot/sysroot"))?, before);
    Ok(())
}
