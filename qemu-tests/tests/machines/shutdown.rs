//! Updates that the guest's own `ostree` stages, finalized by ours while the machine goes down, and booted.

use anyhow::{Context, Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::scenario::Scenario;
use qemu_tests::staging::script;
use qemu_tests::sysroot::Sysroot;

use crate::{contains, is_well, scenario};

/// Boots once for each script; each of them succeeds.
pub(crate) fn boots(guest: Guest, name: &str, scripts: &[&str]) -> Result<Vec<Report>> {
    boots_of(&scenario(guest, name)?, scripts)
}

fn boots_of(scenario: &Scenario, scripts: &[&str]) -> Result<Vec<Report>> {
    let scripts: Vec<String> = scripts.iter().map(|text| script(text)).collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let reports = scenario.run_scripts(&scripts)?;
    succeeded(&reports)?;
    Ok(reports)
}

/// Fails unless every script has succeeded.
pub(crate) fn succeeded(reports: &[Report]) -> Result<()> {
    for (number, report) in reports.iter().enumerate() {
        let output = report.script_output()?;
        ensure!(report.script_status()? == 0, "boot {}:\n{output}", number + 1);
    }
    Ok(())
}

pub(crate) fn last(reports: &[Report]) -> Result<&Report> {
    reports.last().context("no boot")
}

/// The booted deployment is of this version, and all is well.
pub(crate) fn is_of_version(report: &Report, version: &str) -> Result<()> {
    is_well(report)?;
    let status = report.admin_status()?;
    let booted = status.split("\n  ").skip_while(|part| !part.contains("* default")).take(2).collect::<String>();
    let version = format!("Version: {version}");
    ensure!(status.starts_with("* default") && booted.contains(&version), "{version} is not booted:\n{status}");
    Ok(())
}

/// What is in the line that ours ends with.
pub(crate) const DONE: &str = "finalized /ostree/deploy/default/deploy/";

/// Staged by a stock `ostree`, prepared meanwhile, finalized at shutdown, booted with the edits; and back again. Then with a boot loader
/// that is run after an update: `ostree` does it, and the journal says why.
pub(crate) fn an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree(guest: Guest) -> Result<()> {
    let scenario =
        scenario(guest, "ext4")?.with_disk_looked_at_by(move |root| Sysroot::at(root).has_a_whole_repository(guest));
    let reports = boots_of(
        &scenario,
        &[
            "version=2; stage 2; prepared 'is prepared: shutdown will merge'
             systemctl is-active $unit.path
             echo mine >/etc/mine; chmod 700 /etc/dpkg; rm /etc/issue.net
             # What others have: a file beside the entries, and a command in libostree's unit, which sorts after ours.
             install -m 600 /dev/null /boot/loader/random-seed
             drop_ins=/run/systemd/system/ostree-finalize-staged.service.d; mkdir -p $drop_ins
             printf '[Service]\nExecStop=/bin/sh -c \"echo vendor >/var/vendor-ran\"\n' >$drop_ins/10-vendor.conf
             systemctl daemon-reload
             starts",
            "cat /etc/mine /etc/vendor; stat -c %a /etc/dpkg; test ! -e /etc/issue.net
             cat /var/vendor-ran; stat -c %a /boot/loader/random-seed
             before ostree-finalize-staged.service
             for id in e8646cd63dff4625b77909a8e7a40994 d3863baec13e4449ab0384684a8af3a7 dd440e3e549083b63d0efc7dc15255f1
             do structured $id; done
             ostree admin status
             firstroot status; firstroot check; firstroot etc
             ostree admin set-default 1; firstroot status --json",
            "test ! -e /etc/vendor; cat /etc/mine
             ostree admin undeploy 1; ostree admin deploy --os=default firstroot/2; ostree admin status
             version=3; ostree --repo=/sysroot/ostree/repo config set sysroot.bootloader zipl
             # Nothing is behind that name here: a stand-in, found by the unit's PATH.
             mkdir -p /var/programs; printf '#!/bin/sh\necho $* >/var/zipl-ran\n' >/var/programs/zipl; chmod 755 /var/programs/zipl
             drop_ins=/run/systemd/system/ostree-finalize-staged.service.d; mkdir -p $drop_ins
             printf '[Service]\nEnvironment=PATH=/var/programs:/usr/sbin:/usr/bin\n' >$drop_ins/20-zipl.conf
             systemctl daemon-reload
             stage 3; prepared 'ostree will finalize this update at shutdown'",
            "before ostree-finalize-staged.service; cat /etc/vendor; cat /var/zipl-ran",
        ],
    )?;
    let [first, second, third, fourth] = reports.as_slice() else { anyhow::bail!("four boots") };
    contains(&first.script_output()?, "active\nstarts: 1\n")?;
    is_of_version(second, "2")?;
    let output = second.script_output()?;
    contains(&output, "mine\nvendor 2\n700\nvendor\n600\n")?;
    contains(&output, "(rollback)")?;
    names_every_phase(&output)?;
    the_command_sees_it(&output)?;
    for part in ["OSTREE_OSNAME=default\n", "ETC_N_REMOVED=1\n", "ETC_N_ADDED=1\n", "OSTREE_DID_BOOTSWAP=yes\n"] {
        contains(&output, part)?;
    }
    // Each of the three is there once, and is ours: libostree's own program has said nothing.
    let fields = |name: &str| output.lines().filter(|line| line.starts_with(name)).count();
    ensure!((fields("SYSLOG_IDENTIFIER=ostree"), fields("FIRSTROOT=")) == (3, 3), "{output}");
    is_of_version(third, "1")?;
    contains(&third.script_output()?, "Version: 2")?;
    is_left_to_ostree(fourth, "3")
}

/// What `firstroot` says of it: the finalization from the journal, whose programs run, and that every entry boots.
fn the_command_sees_it(output: &str) -> Result<()> {
    contains(output, "\nBooted        /ostree/deploy/default/deploy/")?;
    contains(output, "\nNext boot     /ostree/deploy/default/deploy/")?;
    ensure!(output.lines().any(|line| line.starts_with("Finalized") && line.contains("swap and sync")), "{output}");
    let ours =
        output.lines().find(|line| line.starts_with("Programs") && line.contains("firstroot's: ")).unwrap_or_default();
    for name in
        ["ostree-finalize-staged,", "ostree-finalize-staged-hold", "ostree-boot-complete", "ostree-prepare-root"]
    {
        contains(ours, name)?;
    }
    contains(output, "\nThis machine would come up, with every entry.\n")?;
    contains(output, "\nA   /etc/mine\n")?;
    contains(output, "\nD   /etc/issue.net\n")
}

fn is_left_to_ostree(report: &Report, version: &str) -> Result<()> {
    is_of_version(report, version)?;
    let output = report.script_output()?;
    contains(
        &output,
        "the boot loader zipl (sysroot.bootloader) is a program that ostree runs after each update: running /usr/bin/ostree",
    )?;
    contains(&output, "-V\n")?;
    ensure!(!output.contains(DONE), "{output}");
    Ok(())
}

/// The line that ours ends with tells how long each phase has taken.
fn names_every_phase(output: &str) -> Result<()> {
    let line = output.lines().find(|line| line.contains(DONE)).with_context(|| output.to_owned())?;
    let times = line.split(DONE).nth(1).unwrap_or_default();
    for phase in ["lock", "plan", "merge", "kernel", "entries", "sync", "swap and sync", "clean"] {
        let time = times.split([':', ',']).find_map(|part| part.trim().strip_prefix(phase)?.strip_prefix(' '));
        let milliseconds = time.and_then(|time| time.strip_suffix(" ms")?.parse::<f64>().ok());
        ensure!(milliseconds.is_some(), "no time of {phase:?} in: {line}");
    }
    Ok(())
}

/// Kernel and initramfs of an `ostree admin upgrade` are in `/boot` before the machine goes down.
pub(crate) fn a_separate_boot_is_prepared_before_shutdown(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "separate-boot",
        &[
            "commit 2; ostree refs --force --create=firstroot/guest firstroot/2; ostree admin upgrade --stage
             prepared 'is prepared: shutdown will merge'; ls /boot/ostree
             cmp /boot/ostree/*.prepared/vmlinuz-* /usr/lib/modules/$kver/vmlinuz
             cmp /boot/ostree/*.prepared/initramfs-* \
                 /sysroot/ostree/deploy/default/deploy/$(ostree rev-parse firstroot/2).0/usr/lib/modules/$kver/initramfs.img
             starts",
            "before ostree-finalize-staged.service; ls /boot/ostree; cat /etc/vendor",
        ],
    )?;
    let output = reports.first().context("two boots")?.script_output()?;
    contains(&output, ".prepared\n")?;
    contains(&output, "starts: 1\n")?;
    let report = last(&reports)?;
    is_of_version(report, "2")?;
    let output = report.script_output()?;
    contains(&output, DONE)?;
    ensure!(!output.contains(".prepared"), "{output}");
    Ok(())
}

/// And held until then.
pub(crate) fn an_automounted_boot_and_a_read_only_sysroot_are_written_to(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "boot-automounted-sysroot-readonly",
        &[
            "version=2; systemctl is-active boot.automount
             mkdir /run/rw; mount --bind /sysroot /run/rw; mount -o remount,bind,rw /run/rw
             repo=/run/rw/ostree/repo; commit 2; umount /run/rw
             findmnt --noheadings --output=OPTIONS /sysroot | grep ^ro
             ostree admin deploy --os=default --stage firstroot/2; prepared 'is prepared: shutdown will merge'
             systemctl is-active ostree-finalize-staged-hold.service
             tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value ostree-finalize-staged-hold.service)/cmdline
             sleep 6; findmnt --noheadings --output=FSTYPE --types=ext4 /boot",
            "before ostree-finalize-staged.service; findmnt --noheadings --output=OPTIONS /sysroot | grep ^ro",
        ],
    )?;
    let output = reports.first().context("two boots")?.script_output()?;
    contains(&output, "/usr/lib/firstroot/ostree-finalize-staged --hold")?;
    is_of_version(last(&reports)?, "2")?;
    contains(&last(&reports)?.script_output()?, DONE)
}

pub(crate) fn a_read_only_boot_is_written_to(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "boot-read-only",
        &[
            "version=2; findmnt --noheadings --output=OPTIONS /boot | grep ^ro; stage 2; prepared 'is prepared'",
            "before ostree-finalize-staged.service; findmnt --noheadings --output=OPTIONS /boot | grep ^ro",
        ],
    )?;
    is_of_version(last(&reports)?, "2")?;
    contains(&last(&reports)?.script_output()?, DONE)
}

/// There is room for two kernels, and not for three: the oldest goes first.
pub(crate) fn a_boot_that_is_nearly_full_makes_room(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "separate-boot",
        &[
            "version=2; stage 2; prepared 'is prepared'",
            "version=3; room=$(df --output=avail --block-size=1 /boot | tail -1); fallocate --length $((room - 5000000)) /boot/filler
             stage 3; prepared 'shutdown will install it'; ls /boot/ostree | wc -l",
            "before ostree-finalize-staged.service; ls /boot/ostree | wc -l; ostree admin status
             deployments() { ls -d /sysroot/ostree/deploy/default/deploy/*.[0-9] | wc -l; }
             for n in $(seq 120); do if test $(deployments) = 2; then break; fi; sleep 1; done
             echo deployments: $(deployments)
             systemctl show --property=Result --property=ExecMainStatus ostree-finalize-staged-clean.service",
        ],
    )?;
    let report = last(&reports)?;
    is_of_version(report, "3")?;
    let output = report.script_output()?;
    // The one that went first has a directory until this boot.
    contains(&output, "deployments: 2\n")?;
    contains(&output, "Result=success\nExecMainStatus=0\n")?;
    contains(&output, "/boot is nearly full: removing /ostree/deploy/default/deploy/")?;
    contains(&output, "\n2\n")?;
    contains(&output, "Version: 2")
}

pub(crate) fn a_locked_deployment_waits_until_it_is_unlocked(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "ext4",
        &[
            "version=2; stage 2 --lock-finalization; ostree admin status",
            "before ostree-finalize-staged.service; test ! -e /etc/vendor; version=2
             ostree admin deploy --os=default --stage --lock-finalization firstroot/2
             ostree admin lock-finalization --unlock; prepared 'is prepared'",
            "cat /etc/vendor",
        ],
    )?;
    let second = reports.get(1).context("three boots")?;
    is_of_version(second, "1")?;
    ensure!(!second.admin_status()?.contains("Version: 2"), "{}", second.admin_status()?);
    contains(&second.script_output()?, "Not finalizing; deployment is locked for finalization")?;
    is_of_version(last(&reports)?, "2")
}
