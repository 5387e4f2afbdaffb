//! The same disk booted by ours and by the peer's: mount table, `/run/ostree-booted`, `ostree admin status`, failed units.

use anyhow::{Result, ensure};
use qemu_tests::compare::{same_as_peer, same_booted_state, version_differences};
use qemu_tests::guest::Guest;
use qemu_tests::mounts::MountTable;
use qemu_tests::package::Provider;
use qemu_tests::report::Report;

use crate::{contains, is_well, scenario};

/// Boots the scenario with ours, once for each script, then the same disk with the peer's, and compares the last two boots.
/// What is wanted of both is in `expected`: two that do nothing are equal, too.
pub(crate) fn both(guest: Guest, name: &str, scripts: &[&str], expected: impl Fn(&Report) -> Result<()>) -> Result<()> {
    let boots: Vec<_> = scripts.iter().map(|script| (Provider::Ours, *script)).chain([(Provider::Peer, "")]).collect();
    let reports = scenario(guest, name)?.run_in_turn(&boots)?;
    let [.., ours, peer] = reports.as_slice() else { anyhow::bail!("one boot with each") };
    are_the_same(guest, ours, peer)?;
    expected(ours)
}

fn are_the_same(guest: Guest, ours: &Report, peer: &Report) -> Result<()> {
    is_well(ours)?;
    same_as_peer(ours, peer, version_differences(guest))?;
    if guest == Guest::Forky {
        same_booted_state(ours, peer)?;
    }
    Ok(())
}

fn read_only(table: &MountTable, target: &str) -> Option<bool> {
    table.at(target).map(qemu_tests::mounts::Mount::is_read_only)
}

fn a_plain_system(report: &Report) -> Result<()> {
    let table = report.mount_table()?;
    let access: Vec<_> = ["/", "/usr", "/sysroot", "/var"].map(|target| read_only(&table, target)).to_vec();
    ensure!(access == [Some(false), Some(true), Some(false), Some(false)], "{table}");
    ensure!(report.journal_entries("7170336a73ba4601bad31af888aa0df7")?.len() == 1, "one structured journal message");
    Ok(())
}

pub(crate) fn ext4(guest: Guest) -> Result<()> {
    both(guest, "ext4", &[""], a_plain_system)
}

pub(crate) fn xfs(guest: Guest) -> Result<()> {
    both(guest, "xfs", &[""], a_plain_system)
}

pub(crate) fn kinoite(guest: Guest) -> Result<()> {
    both(guest, "kinoite", &[""], |report| {
        a_plain_system(report)?;
        let line = report.kernel_command_line()?;
        for (part, next) in [
            ("BOOT_IMAGE=(hd0,gpt3)/boot/ostree/default-", "/vmlinuz-"),
            (" root=UUID=", " rootflags=subvol=root rw boot=UUID="),
            (" ostree=/ostree/boot.0/default/", "/0 "),
        ] {
            let rest = line.split_once(part).map(|(_, rest)| rest.split_once(next));
            ensure!(rest.flatten().is_some(), "no {part}…{next} in {line}");
        }
        let table = report.mount_table()?;
        ensure!(table.at("/").is_some_and(|mount| mount.root.starts_with("/root/ostree/deploy/default/")), "{table}");
        ensure!(table.at("/boot").is_some_and(|mount| mount.fstype == "ext4"), "{table}");
        Ok(())
    })
}

fn sysroot_is_read_only(report: &Report) -> Result<()> {
    let table = report.mount_table()?;
    ensure!(read_only(&table, "/sysroot") == Some(true) && read_only(&table, "/var") == Some(false), "{table}");
    contains(&qemu_tests::booted_state::lines(&report.booted_state()?).join("\n"), "sysroot-ro = true")
}

pub(crate) fn sysroot_readonly_by_the_configuration(guest: Guest) -> Result<()> {
    both(guest, "readonly-by-configuration", &[""], sysroot_is_read_only)
}

pub(crate) fn sysroot_readonly_by_the_repository(guest: Guest) -> Result<()> {
    both(guest, "readonly-by-repository", &[""], sysroot_is_read_only)
}

/// What is written to `/etc` in the first boot is gone in the second.
pub(crate) fn transient_etc(guest: Guest) -> Result<()> {
    let scripts =
        ["test -e /etc/hostname && echo hello >/etc/written", "test -e /etc/hostname && test ! -e /etc/written"];
    both(guest, "transient-etc", &scripts, |report| {
        ensure!(report.script_status()? == 0, "{}", report.script_output()?);
        let table = report.mount_table()?;
        ensure!(table.at("/etc").is_some_and(|mount| mount.fstype == "overlay"), "{table}");
        Ok(())
    })
}

/// Before it, a plain system, whose boot is compared, too.
pub(crate) fn a_hotfix_survives_a_reboot(guest: Guest) -> Result<()> {
    let scripts = [
        "ostree admin unlock --hotfix && echo hotfix >/usr/lib/written",
        "cat /usr/lib/written && echo more >>/usr/lib/written",
    ];
    let [before, after] = scripts;
    let boots = [(Provider::Peer, ""), (Provider::Ours, before), (Provider::Ours, after), (Provider::Peer, "")];
    let reports = scenario(guest, "ext4")?.run_in_turn(&boots)?;
    let [peer, ours, ours_again, peer_again] = reports.as_slice() else { anyhow::bail!("four boots") };
    for (ours, peer) in [(ours, peer), (ours_again, peer_again)] {
        are_the_same(guest, ours, peer)?;
        ensure!(ours.script_status()? == 0, "{}", ours.script_output()?);
    }
    a_plain_system(ours)?;
    contains(&ours_again.script_output()?, "hotfix")?;
    contains(&ours_again.admin_status()?, "Unlocked: hotfix")
}

pub(crate) fn a_script_in_an_initramfs_without_systemd(guest: Guest) -> Result<()> {
    both(guest, "script-initramfs", &[""], a_plain_system_without_journal)
}

/// Nobody keeps a journal before systemd runs.
fn a_plain_system_without_journal(report: &Report) -> Result<()> {
    let table = report.mount_table()?;
    ensure!(read_only(&table, "/usr") == Some(true) && read_only(&table, "/var") == Some(false), "{table}");
    Ok(())
}
