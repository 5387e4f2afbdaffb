//! A machine whose firmware starts rEFInd. That starts systemd-boot, whose entries count.

use anyhow::Result;
use qemu_tests::guest::Guest;
use qemu_tests::staging::script;

use crate::esp::{LOADER_INFO, project};
use crate::shutdown::{DONE, is_of_version, succeeded};
use crate::{contains, is_well, scenario};

/// An update counts, and is blessed. `/boot` is a filesystem of its own, behind an automount.
pub(crate) fn refind_starts_the_loader_that_counts(guest: Guest) -> Result<()> {
    let first = script(&format!(
        "{LOADER_INFO}; cat /run/ostree/boot-assessment; findmnt --noheadings --output=FSTYPE --first-only /boot
         firstroot esp status; version=2; stage 2; prepared 'is prepared: shutdown will merge'"
    ));
    let second = script(&format!(
        "{LOADER_INFO}; before ostree-finalize-staged.service; cat /proc/cmdline /run/ostree/boot-assessment
         systemctl is-active firstroot-bless.service boot-complete.target; firstroot esp status"
    ));
    let reports = scenario(guest, "esp-behind-refind")?.run_scripts_from_esp(&project(), &[&first, &second])?;
    succeeded(&reports)?;
    let [_, first, second] = reports.as_slice() else { anyhow::bail!("three boots") };
    for report in [first, second] {
        is_well(report)?;
        for part in ["started by systemd-boot 25", "the ESP has the deployments of /boot"] {
            contains(&report.script_output()?, part)?;
        }
    }
    for part in ["state=good\n", "autofs\n"] {
        contains(&first.script_output()?, part)?;
    }
    is_of_version(second, "2")?;
    for part in [DONE, "state=trial\n", "attempts=1\n", " firstroot.trial", "active\nactive\n"] {
        contains(&second.script_output()?, part)?;
    }
    Ok(())
}
