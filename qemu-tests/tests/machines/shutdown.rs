//! Updates that the guest's own `ostree` stages, finalized by ours while the machine goes down, and booted.

use anyhow::{Context, Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;

use crate::{contains, is_well, scenario};

/// Defines what the scripts below use. The journal is kept, for the next boot to be looked at.
const PRELUDE: &str = r#"
set -e
mkdir -p /var/log/journal
journalctl --flush
kver=$(uname -r)
unit=ostree-finalize-staged-prepare

# A commit that is the booted one with another version, a file in /etc, and another initramfs (zeros after its end).
commit() {
    tree=/var/tmp/tree-$1
    mkdir -p "$tree/usr/etc" "$tree/usr/lib/modules/$kver"
    echo "vendor $1" >"$tree/usr/etc/vendor"
    cp "/usr/lib/modules/$kver/initramfs.img" "$tree/usr/lib/modules/$kver/"
    head -c $((512 * $1)) /dev/zero >>"$tree/usr/lib/modules/$kver/initramfs.img"
    ostree --repo=/sysroot/ostree/repo commit --branch="firstroot/$1" --tree=ref=firstroot/guest --tree=dir="$tree" \
        --add-metadata-string=version="$1" --no-bindings
    rm -r "$tree"
}
stage() {
    commit "$1"
    shift
    ostree admin deploy --os=default --stage "$@" "firstroot/$version"
}
prepared() {
    # Until the path unit has seen it, and the service has done its work.
    for n in $(seq 120); do
        if journalctl --boot --unit=$unit --output=cat | grep --quiet "$1"; then return; fi
        sleep 1
    done
    journalctl --boot --unit=$unit
    return 1
}
# What the shutdown before this boot said.
before() { journalctl --boot=-1 --output=cat --unit="$1"; }
"#;

fn script(text: &str) -> String {
    format!("{PRELUDE}{text}")
}

/// Boots once for each script; each of them succeeds.
fn boots(guest: Guest, name: &str, scripts: &[&str]) -> Result<Vec<Report>> {
    let scripts: Vec<String> = scripts.iter().map(|text| script(text)).collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let reports = scenario(guest, name)?.run_scripts(&scripts)?;
    for (number, report) in reports.iter().enumerate() {
        let output = report.script_output()?;
        ensure!(report.script_status()? == 0, "boot {}:\n{output}", number + 1);
    }
    Ok(reports)
}

fn last(reports: &[Report]) -> Result<&Report> {
    reports.last().context("no boot")
}

/// The booted deployment is of this version, and all is well.
fn is_of_version(report: &Report, version: &str) -> Result<()> {
    is_well(report)?;
    let status = report.admin_status()?;
    let booted = status.split("\n  ").skip_while(|part| !part.contains("* default")).take(2).collect::<String>();
    let version = format!("Version: {version}");
    ensure!(status.starts_with("* default") && booted.contains(&version), "{version} is not booted:\n{status}");
    Ok(())
}

/// What is in the line that ours ends with.
const DONE: &str = "is finalized in ";

/// Staged by a stock `ostree`, prepared meanwhile, finalized at shutdown, booted with the edits; and back again.
pub(crate) fn an_update_is_staged_finalized_booted_and_rolled_back(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "ext4",
        &[
            "version=2; stage 2; prepared 'is prepared: shutdown will merge'
             systemctl is-active $unit.path
             echo mine >/etc/mine; chmod 700 /etc/dpkg; rm /etc/issue
             sleep 5; echo starts: $(journalctl --boot --unit=$unit --output=cat | grep --count ^Starting)",
            "cat /etc/mine /etc/vendor; stat -c %a /etc/dpkg; ! test -e /etc/issue
             before ostree-finalize-staged.service; before $unit.service
             ostree admin status; ostree fsck --quiet
             ostree admin set-default 1",
            "! test -e /etc/vendor; cat /etc/mine",
        ],
    )?;
    let [first, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };
    contains(&first.script_output()?, "active\nstarts: 1\n")?;
    is_of_version(second, "2")?;
    let output = second.script_output()?;
    contains(&output, "mine\nvendor 2\n700\n")?;
    contains(&output, DONE)?;
    contains(&output, "(rollback)")?;
    // libostree's own program has said nothing.
    ensure!(!output.contains("Copying /etc changes: ") || output.contains("ms: lock "), "{output}");
    is_of_version(third, "1")
}

/// Kernel and initramfs are in `/boot` before the machine goes down.
pub(crate) fn a_separate_boot_is_prepared_before_shutdown(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "separate-boot",
        &[
            "version=2; stage 2; prepared 'is prepared: shutdown will merge'; ls /boot/ostree
             cmp /boot/ostree/*.prepared/vmlinuz-* /usr/lib/modules/$kver/vmlinuz",
            "before ostree-finalize-staged.service; ls /boot/ostree; cat /etc/vendor",
        ],
    )?;
    contains(&reports.first().context("two boots")?.script_output()?, ".prepared\n")?;
    let report = last(&reports)?;
    is_of_version(report, "2")?;
    let output = report.script_output()?;
    contains(&output, DONE)?;
    ensure!(!output.contains(".prepared"), "{output}");
    Ok(())
}

pub(crate) fn an_automounted_boot_is_held_until_shutdown(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "boot-automounted",
        &[
            "version=2; systemctl is-active boot.automount; stage 2; prepared 'is prepared: shutdown will merge'
             systemctl is-active ostree-finalize-staged-hold.service
             tr '\\0' ' ' </proc/$(systemctl show --property=MainPID --value ostree-finalize-staged-hold.service)/cmdline
             sleep 6; findmnt --noheadings --output=FSTYPE --types=ext4 /boot",
            "before ostree-finalize-staged.service",
        ],
    )?;
    let output = reports.first().context("two boots")?.script_output()?;
    contains(&output, "/usr/lib/ostree/ostree-finalize-staged --hold")?;
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
            "version=3; room=$(df --output=avail --block-size=1 /boot | tail -1); fallocate --length $((room - 20000000)) /boot/filler
             stage 3; prepared 'it is installed at shutdown'; ls /boot/ostree | wc -l",
            "before ostree-finalize-staged.service; ls /boot/ostree | wc -l; ostree admin status",
        ],
    )?;
    let report = last(&reports)?;
    is_of_version(report, "3")?;
    let output = report.script_output()?;
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
            "before ostree-finalize-staged.service; ! test -e /etc/vendor; version=2
             ostree admin deploy --os=default --stage --lock-finalization firstroot/2
             ostree admin lock-finalization --unlock || rm /run/ostree/staged-deployment-locked
             prepared 'is prepared' || true",
            "cat /etc/vendor",
        ],
    )?;
    let second = reports.get(1).context("three boots")?;
    is_of_version(second, "1")?;
    contains(&second.script_output()?, "not finalizing: the staged deployment is locked")?;
    is_of_version(last(&reports)?, "2")
}

/// The unit's limit, and a `/boot` so slow that installing a kernel takes longer.
const SLOW: &str = "
    systemctl stop $unit.path
    mkdir -p /run/systemd/system/ostree-finalize-staged.service.d
    printf '[Service]\\nTimeoutStopSec=4s\\nIOWriteBandwidthMax=/dev/vdb 4M\\n%s\\n' \"$more\" \\
        >/run/systemd/system/ostree-finalize-staged.service.d/50-slow.conf
    systemctl daemon-reload
    version=2; stage 2; systemctl is-active ostree-finalize-staged.service";

/// systemd is told that something happens, and waits.
pub(crate) fn a_slow_disk_is_waited_for_beyond_the_limit(guest: Guest) -> Result<()> {
    let reports = boots(guest, "separate-boot", &[&format!("more=; {SLOW}"), "before ostree-finalize-staged.service"])?;
    let report = last(&reports)?;
    is_of_version(report, "2")?;
    let output = report.script_output()?;
    let milliseconds = output.split(DONE).nth(1).and_then(|rest| rest.split_once(" ms")).context("no time")?.0;
    let seconds = milliseconds.parse::<f64>().with_context(|| output.clone())? / 1e3;
    ensure!(seconds > 8.0, "it took only {seconds} s, and the limit is 4 s:\n{output}");
    Ok(())
}

/// Where it is told nothing, the limit holds: the old system boots, and says why, once.
pub(crate) fn what_is_killed_is_reported_at_the_next_boot(guest: Guest) -> Result<()> {
    let status = "systemctl status --no-pager ostree-boot-complete.service; before ostree-finalize-staged.service";
    let reports = boots(
        guest,
        "separate-boot",
        &[&format!("more=NotifyAccess=none; {SLOW}"), &format!("{status} || true"), &format!("{status} || true")],
    )?;
    let [_, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };
    let output = second.script_output()?;
    let text = "ostree-finalize-staged.service failed on previous boot: interrupted while installing the kernel, finalizing ostree/";
    contains(&output, text)?;
    contains(&second.failed_units()?, "ostree-boot-complete.service")?;
    contains(&second.admin_status()?, "Version: 1")?;
    ensure!(!second.admin_status()?.contains("Version: 2"), "{}", second.admin_status()?);
    is_of_version(third, "1")?;
    ensure!(!third.script_output()?.contains(text), "{}", third.script_output()?);
    Ok(())
}

/// A boot loader that needs a file of its own: `ostree` does it, and the journal says why.
pub(crate) fn a_boot_loader_that_is_not_ours_is_left_to_ostree(guest: Guest) -> Result<()> {
    let reports = boots(
        guest,
        "ext4",
        &[
            "version=2; ostree --repo=/sysroot/ostree/repo config set sysroot.bootloader uboot; touch /boot/loader/uEnv.txt
             stage 2; prepared 'finalization will be left to ostree'",
            "before ostree-finalize-staged.service; cat /etc/vendor; ls /boot/loader/",
        ],
    )?;
    let report = last(&reports)?;
    is_of_version(report, "2")?;
    let output = report.script_output()?;
    contains(
        &output,
        "the boot loader is uboot (sysroot.bootloader), which needs a file of its own: leaving this to /usr/bin/ostree",
    )?;
    contains(&output, "uEnv.txt\n")?;
    ensure!(!output.contains(DONE), "{output}");
    Ok(())
}
