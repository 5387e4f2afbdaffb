//! Machines whose entries are on an XBOOTLDR partition, beside the ESP with the boot loader.

use anyhow::{Result, ensure};
use qemu_tests::firmware::{ESP_PARTUUID, XBOOTLDR_PARTUUID};
use qemu_tests::guest::Guest;
use qemu_tests::staging::script;

use crate::shutdown::{is_of_version, succeeded};
use crate::{contains, is_well, scenario};

/// Projected onto the ESP at first. What is left there goes when the XBOOTLDR partition has it; systemd-boot boots from that, counts there,
/// and is blessed there.
pub(crate) fn entries_move_beside_the_esp_and_count_there(guest: Guest) -> Result<()> {
    let functions = format!(
        "esp=/dev/disk/by-partuuid/{ESP_PARTUUID}; xbootldr=/dev/disk/by-partuuid/{XBOOTLDR_PARTUUID}
         configure() {{ mkdir -p /etc/ostree; printf '[esp]\\nenabled=yes\\npartition=PARTUUID=%s\\n[rollback]\\ntries=2\\n' $1 >/etc/ostree/esp.conf; }}
         files() {{ mkdir -p /run/esp; mount -o ro $1 /run/esp; (cd /run/esp; find . -type f); umount /run/esp; }}\n"
    );
    let first = script(&format!(
        "{functions}
         configure {ESP_PARTUUID}; firstroot esp sync; files $esp | grep loader/entries/ostree
         configure {XBOOTLDR_PARTUUID}; firstroot esp sync; firstroot esp sync | grep 'nothing to do'
         test -z \"$(files $esp | grep /ostree)\"; files $xbootldr
         systemctl start firstroot-esp-shutdown.service firstroot-esp.path"
    ));
    let second = script(&format!(
        "{functions} cat /proc/cmdline /run/ostree/boot-assessment; firstroot esp status
         firstroot esp install 2>&1 || echo refused
         version=2; stage 2; prepared 'is prepared: shutdown will merge'"
    ));
    let third = script(&format!(
        "{functions} cat /proc/cmdline /run/ostree/boot-assessment; systemctl is-active firstroot-bless.service boot-complete.target
         firstroot esp status; test -z \"$(files $esp | grep /ostree)\"; echo on it; files $xbootldr"
    ));
    let reports = scenario(guest, "esp")?.run_scripts_from_esp(&first, &[&second, &third])?;
    succeeded(&reports)?;
    let [_, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };
    let output = second.script_output()?;
    contains(&output, "is an XBOOTLDR partition, and the boot loader must be on the ESP /dev/")?;
    contains(&output, "refused\n")?;
    for report in [second, third] {
        is_well(report)?;
        let output = report.script_output()?;
        for part in [" firstroot.deployment=", "the ESP has the deployments of /boot", "Boot loader   systemd-boot "] {
            contains(&output, part)?;
        }
        // This firmware starts the ESP's systemd-boot only after other devices.
        let mut warnings = output.lines().filter(|line| line.starts_with("Warning"));
        ensure!(warnings.all(|line| line.contains("the firmware starts Boot")), "{output}");
    }
    contains(&second.script_output()?, "state=good\n")?;
    is_of_version(third, "2")?;
    let output = third.script_output()?;
    contains(&output, "state=trial\n")?;
    contains(&output, " firstroot.trial")?;
    let (_, files) = output.split_once("on it\n").unwrap_or_default();
    let entries = |what: &str| {
        files.lines().filter(|line| line.starts_with("./loader/entries/ostree-") && line.contains(what)).count()
    };
    ensure!((entries(""), entries("+")) == (2, 0), "{files}");
    Ok(())
}
