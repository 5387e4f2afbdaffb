//! What the peer does not do.

use anyhow::{Result, ensure};
use qemu_tests::compare::{
    BOOT_BEFORE_THE_GENERATOR, Difference, VAR_IN_THE_INITRAMFS, same_as_peer, version_differences,
};
use qemu_tests::guest::Guest;

use crate::{contains, is_well, scenario};

/// Somebody's mistake at the prompt of a system that runs is no boot, let alone one that failed.
const BY_HAND: &str = "mkdir -p /etc/ostree && printf '[boot]\\non-failure=reboot\\n' >/etc/ostree/prepare-root.conf && \
    /usr/lib/firstroot/ostree-prepare-root /mnt; echo status=$?";

/// Told not to, the initramfs does not mount `/boot`: the generator's unit does, once.
pub(crate) fn boot_is_not_mounted_when_told(guest: Guest) -> Result<()> {
    let script = format!("systemctl is-active boot.mount; {BY_HAND}");
    let report = scenario(guest, "boot-not-mounted")?.run_script(&script)?;
    let table = report.mount_table()?;
    ensure!(table.to_string().lines().filter(|line| line.starts_with("/boot ")).count() == 1, "{table}");
    ensure!(report.system_state()? == "running", "{}", report.failed_units()?);
    let by_hand = report.script_output()?;
    let left_alone = "this system is already booted from /ostree/deploy/default/deploy/";
    ensure!(
        by_hand.starts_with("active\n") && by_hand.contains(left_alone) && by_hand.ends_with("\nstatus=0\n"),
        "{by_hand}"
    );
    Ok(())
}

/// The peer's module needs systemd.
pub(crate) fn a_hook_does_the_same_without_systemd(guest: Guest) -> Result<()> {
    let report = scenario(guest, "dracut-without-systemd")?.run()?;
    is_well(&report)?;
    let table = report.mount_table()?;
    ensure!(table.at("/usr").is_some_and(|mount| mount.is_read_only()), "{table}");
    // The hook finds systemd in the deployment, and leaves /var to it.
    for target in ["/var", "/boot"] {
        ensure!(table.at(target).is_some_and(|mount| !mount.is_read_only()), "{table}");
    }
    Ok(())
}

/// On Debian testing the generator mounts `/boot` as well.
pub(crate) fn a_second_mount_of_boot_is_harmless(guest: Guest) -> Result<()> {
    let script = "ostree admin deploy --os=default --karg-append=tested=yes firstroot/guest && grep -l tested=yes /boot/loader/entries/*";
    let report = scenario(guest, "boot-mounted")?.run_script(script)?;
    is_well(&report)?;
    ensure!(report.script_status()? == 0, "{}", report.script_output()?);
    let table = report.mount_table()?;
    ensure!(table.at("/boot").is_some_and(|mount| !mount.is_read_only()), "{table}");
    Ok(())
}

/// The peer's static build ignores its configuration there; what is mounted is compared with our own initramfs.
pub(crate) fn without_an_initramfs_the_same_is_mounted(guest: Guest) -> Result<()> {
    let report = scenario(guest, "no-initramfs-readonly")?.run()?;
    is_well(&report)?;
    let with_initramfs = scenario(guest, "readonly-by-configuration")?.run()?;
    let generator: &[Difference] = if guest == Guest::Forky { &[BOOT_BEFORE_THE_GENERATOR] } else { &[] };
    let differences = [version_differences(guest), &[VAR_IN_THE_INITRAMFS], generator].concat();
    same_as_peer(&report, &with_initramfs, &differences)?;
    contains(&report.kernel_command_line()?, " init=/ostree/boot.1/default/")
}

pub(crate) fn a_read_only_root_without_proc_dev_and_run_boots_without_initramfs(guest: Guest) -> Result<()> {
    let listed = "ls -A /sysroot; touch /var/written";
    let report = scenario(guest, "no-initramfs-ro")?.run_script(listed)?;
    is_well(&report)?;
    // Nothing was created on the disk.
    ensure!(report.script_output()? == "boot\nlost+found\nostree\n", "{}", report.script_output()?);
    ensure!(report.script_status()? == 0, "/var is not writable after systemd-remount-fs");
    let table = report.mount_table()?;
    for (target, fstype) in [("/dev", "devtmpfs"), ("/run", "tmpfs")] {
        ensure!(table.at(target).is_some_and(|mount| mount.fstype == fstype), "{table}");
    }
    ensure!(report.run_ostree_file("recovered-boot").is_none());
    Ok(())
}

/// The first boot finds the deployment without its link; the recorded command repairs it; the second boot needs no recovery,
/// and `ostree` can update again.
pub(crate) fn links_out_of_step_boot_and_can_be_repaired(guest: Guest) -> Result<()> {
    let repair = "firstroot status && firstroot repair bootlinks --dry-run && ! firstroot check && \
         sed -n 's/^repair=//p' /run/ostree/recovered-boot >/tmp/repair && cat /tmp/repair && sh -e /tmp/repair && firstroot check";
    let update = "firstroot check && ostree admin status && ostree admin deploy --os=default firstroot/guest && ostree admin status";
    let [first, second] = scenario(guest, "links-out-of-step")?
        .run_scripts(&[repair, update])?
        .try_into()
        .map_err(|_| anyhow::anyhow!("two boots"))?;

    ensure!(first.system_state()? == "running", "{}", first.failed_units()?);
    let messages = first.journal()?;
    let warning =
        messages.iter().filter_map(|entry| entry.field("MESSAGE")).find(|text| text.contains("is missing; booting"));
    let warning = warning.unwrap_or_default();
    contains(warning, "boot link /ostree/boot.1/default/")?;
    contains(warning, "ostree may be unable to update before you repair the links: mount -o remount,rw /sysroot")?;
    ensure!(first.script_status()? == 0, "{}", first.script_output()?);
    contains(&first.script_output()?, "this boot was recovered: the boot link /ostree/boot.1/default/")?;
    contains(&first.script_output()?, "\nwould make /ostree/boot.1/default/")?;

    is_well(&second)?;
    ensure!(second.run_ostree_file("recovered-boot").is_none(), "the second boot was a recovery as well");
    ensure!(second.script_status()? == 0, "{}", second.script_output()?);
    Ok(())
}
