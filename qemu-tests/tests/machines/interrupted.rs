//! Finalizations that take long, are killed, or lose power: what the next boot is, and what it says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_tests::PowerCut;
use qemu_tests::guest::Guest;

use crate::shutdown::{DONE, boots, is_of_version, last, script, succeeded};
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
    let milliseconds = output.split(DONE).nth(1).and_then(|rest| rest.split_once(" ms")).context("no time")?.0;
    let seconds = milliseconds.parse::<f64>().with_context(|| output.clone())? / 1e3;
    ensure!(seconds > f64::from(2 * LIMIT), "it took only {seconds} s, and the limit is {LIMIT} s:\n{output}");
    Ok(())
}

/// What ours says at the next boot.
const REPORT: &str = "ostree-finalize-staged.service failed on previous boot: interrupted while ";

/// Where systemd is told nothing, the limit holds: the old system boots, and says why, once.
pub(crate) fn what_is_killed_is_reported_at_the_next_boot(guest: Guest) -> Result<()> {
    let status = "systemctl status --no-pager ostree-boot-complete.service || echo $?";
    let reports = boots(guest, "slow-boot-disk", &[&with_a_limit("NotifyAccess=none"), status, status])?;
    let [_, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };
    let output = second.script_output()?;
    contains(&output, &format!("{REPORT}installing the kernel, finalizing ostree/deploy/default/deploy/"))?;
    contains(&second.failed_units()?, "ostree-boot-complete.service")?;
    contains(&second.admin_status()?, "Version: 1")?;
    ensure!(!second.admin_status()?.contains("Version: 2"), "{}", second.admin_status()?);
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
        ! test -e STAMP; cp /var/tmp/stamp STAMP
        INVOCATION_ID=1 ostree admin boot-complete || echo libostree: $?
        ! test -e STAMP; ostree fsck --quiet
        ostree admin deploy --os=default --stage firstroot/2; prepared 'is prepared'";
    let in_place = "
        before ostree-finalize-staged.service; cat /etc/vendor; ls /boot/ostree
        grep $(ostree rev-parse firstroot/2) /var/tmp/stamp; cp /var/tmp/stamp STAMP
        systemctl restart ostree-boot-complete.service
        journalctl --boot --unit=ostree-boot-complete.service --output=cat; ! test -e STAMP";
    let [keep, again, in_place] = [keep, again, in_place].map(|text| script(&text.replace("STAMP", STAMP)));
    let cut = PowerCut { seen: "Copying /etc changes: ", after: Duration::from_secs(4) };
    let reports = scenario(guest, "slow-boot-disk")?.run_scripts_after_power_cut(&keep, &cut, &[&again, &in_place])?;
    succeeded(&reports)?;
    let [_, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };

    let output = second.script_output()?;
    contains(&output, REPORT)?;
    contains(&second.failed_units()?, "ostree-boot-complete.service")?;
    contains(&second.admin_status()?, "Version: 1")?;
    ensure!(!second.admin_status()?.contains("Version: 2"), "{}", second.admin_status()?);
    contains(&output, "error: ostree-finalize-staged.service failed on previous boot: interrupted while ")?;
    contains(&output, "libostree: 1\n")?;

    is_of_version(third, "2")?;
    let output = third.script_output()?;
    contains(&output, DONE)?;
    contains(&output, "vendor 2\n")?;
    // One directory for each of the two deployments, and nothing that was begun before the power cut.
    ensure!(output.lines().filter(|line| line.starts_with("default-")).count() == 2, "{output}");
    ensure!(!output.contains(".new") && !output.contains(".prepared"), "{output}");
    contains(&output, "was left by a run that had put the update in place: it is removed")?;
    ensure!(!output.contains(REPORT), "{output}");
    Ok(())
}
