//! Finalizations that take long, are killed, lose power or find no room: what the next boot is, and what it says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::PowerCut;
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::staging::script;
use qemu_tests::sysroot::Sysroot;

use crate::shutdown::{DONE, boots, is_of_version, last, succeeded};
use crate::{contains, scenario};

/// Of the unit, in seconds.
const LIMIT: u32 = 5;

/// Nothing is prepared, so that kernel and initramfs (58 MB) go to the slow disk during shutdown. `$more` is for the unit.
fn with_a_limit(more: &str) -> String {
    format!(
        "more={more}
         systemctl stop $unit.path
         mkdir -p /run/systemd/system/ostree-finalize-staged.service.d
         printf '[Service]\\nTimeoutStopSec={LIMIT}s\\n%s\\n' \"$more\" \\
             >/run/systemd/system/ostree-finalize-staged.service.d/50-limit.conf
         systemctl daemon-reload
         version=2; stage 2; systemctl is-active ostree-finalize-staged.service"
    )
}

/// systemd is told that something happens, and waits.
pub(crate) fn a_slow_disk_is_waited_for_beyond_the_limit(guest: Guest) -> Result<()> {
    let reports = boots(guest, "slow-boot-disk", &[&with_a_limit(""), "before ostree-finalize-staged.service"])?;
    let report = last(&reports)?;
    is_of_version(report, "2")?;
    let output = report.script_output()?;
    let time = output.split(DONE).nth(1).and_then(|rest| rest.split_once(" in ")).context("no time")?.1;
    let milliseconds = time.split_once(" ms").context("no milliseconds")?.0;
    let seconds = milliseconds.parse::<f64>().with_context(|| output.clone())? / 1e3;
    ensure!(seconds > f64::from(2 * LIMIT), "it took only {seconds} s, and the limit is {LIMIT} s:\n{output}");
    Ok(())
}

/// What ours says at the next boot, as libostree's program does.
const REPORT: &str = "error: ostree-finalize-staged.service failed on previous boot: ";

const STATUS: &str = "systemctl status --no-pager ostree-boot-complete.service || echo $?";

/// The old system has booted, alone, and its unit has failed.
fn is_the_old_system(report: &Report) -> Result<()> {
    contains(&report.failed_units()?, "ostree-boot-complete.service")?;
    let status = report.admin_status()?;
    contains(&status, "Version: 1")?;
    ensure!(!status.contains("Version: 2"), "{status}");
    Ok(())
}

/// Where systemd is told nothing, the limit holds: the old system boots, and says why, once.
pub(crate) fn what_is_killed_is_reported_at_the_next_boot(guest: Guest) -> Result<()> {
    let reports = boots(guest, "slow-boot-disk", &[&with_a_limit("NotifyAccess=none"), STATUS, STATUS])?;
    let [_, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };
    let output = second.script_output()?;
    contains(&output, &format!("{REPORT}interrupted while installing the kernel, finalizing ostree/deploy/default/"))?;
    is_the_old_system(second)?;
    is_of_version(third, "1")?;
    ensure!(!third.script_output()?.contains(REPORT), "{}", third.script_output()?);
    Ok(())
}

const STAMP: &str = "/boot/ostree/finalize-failure.stamp";

/// The old system boots, says what was interrupted, as libostree's program would, and can be updated as if nothing had
/// happened. Where the update is in place, the same stamp is no news.
pub(crate) fn a_power_cut_is_reported_and_the_update_done_again(guest: Guest) -> Result<()> {
    let keep = "
        directory=/etc/systemd/system/ostree-boot-complete.service.d; mkdir -p $directory
        printf '[Service]\nExecStartPre=cp STAMP /var/tmp/stamp\n' >$directory/50-keep.conf
        systemctl stop $unit.path; version=2; stage 2; sync";
    let again = "
        systemctl status --no-pager ostree-boot-complete.service || echo $?
        test ! -e STAMP; cp /var/tmp/stamp STAMP
        INVOCATION_ID=1 ostree admin boot-complete || echo libostree: $?
        test ! -e STAMP
        ostree admin deploy --os=default --stage firstroot/2; prepared 'is prepared'";
    let in_place = "
        before ostree-finalize-staged.service; cat /etc/vendor; ls /boot/ostree
        grep $(ostree rev-parse firstroot/2) /var/tmp/stamp; cp /var/tmp/stamp STAMP
        systemctl restart ostree-boot-complete.service
        journalctl --boot --unit=ostree-boot-complete.service --output=cat; test ! -e STAMP";
    let [keep, again, in_place] = [keep, again, in_place].map(|text| script(&text.replace("STAMP", STAMP)));
    let cut = PowerCut { seen: "Finalizing staged deployment", after: Duration::from_secs(4) };
    let machine = scenario(guest, "slow-boot-disk")?
        .with_disk_looked_at_by(move |root| Sysroot::at(root).has_a_whole_repository(guest));
    let reports = machine.run_scripts_after_power_cut(&keep, &cut, &[&again, &in_place])?;
    succeeded(&reports)?;
    let [_, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };

    let output = second.script_output()?;
    // Ours, and then libostree's of the same stamp.
    ensure!(output.matches(&format!("{REPORT}interrupted while ")).count() >= 2, "{output}");
    is_the_old_system(second)?;
    contains(&output, "libostree: 1\n")?;

    is_of_version(third, "2")?;
    let output = third.script_output()?;
    contains(&output, DONE)?;
    contains(&output, "vendor 2\n")?;
    // One directory for each of the two deployments, and nothing that was begun before the power cut.
    ensure!(output.lines().filter(|line| line.starts_with("default-")).count() == 2, "{output}");
    ensure!(!output.contains(".new") && !output.contains(".prepared"), "{output}");
    contains(&output, "removing /boot/ostree/finalize-failure.stamp: the update that it names is booted")?;
    ensure!(!output.contains(REPORT), "{output}");
    Ok(())
}

/// The administrator is told as soon as the update is staged, and again at the next boot.
pub(crate) fn a_boot_without_room_is_reported_before_shutdown_and_after(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "separate-boot",
        &[
            "room=$(df --output=avail --block-size=1 /boot | tail -1)
             fallocate --length $((room - 5000000)) /boot/filler; ls -R /boot >/var/tmp/boot
             version=2; stage 2; prepared 'Failed with result'; journalctl --boot --unit=$unit --output=cat
             ls -R /boot | diff /var/tmp/boot -",
            &format!("{STATUS}; ls -R /boot | diff /var/tmp/boot - ; systemctl start $unit.service"),
        ],
    )?;
    let [first, second] = reports.as_slice() else { anyhow::bail!("two boots") };
    let reason = "but the kernel and initramfs of /ostree/deploy/default/deploy/";
    contains(&first.script_output()?, reason)?;
    contains(&first.failed_units()?, "ostree-finalize-staged-prepare.service")?;
    is_the_old_system(second)?;
    let output = second.script_output()?;
    let report = output.lines().find(|line| line.contains(REPORT)).with_context(|| output.clone())?;
    contains(report, reason)
}
