//! A system from which libostree's library and programs were taken away boots as before: nothing on the boot path needs them.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;

use crate::{contains, scenario};

/// What a boot is for: `/etc` and `/var` can be written to, `/sysroot` cannot. Then the generator runs again, and a state overlay is
/// made.
const SCRIPT: &str = "set -e
    if ostree --version || ls /usr/lib/*/libostree-1.so.1; then exit 1; fi
    touch /etc/written /var/written; if touch /sysroot/written; then exit 1; fi
    systemctl show --property=Result,ExecMainStatus ostree-remount.service
    systemctl daemon-reload; systemctl is-active var.mount boot.mount ostree-remount.service
    cat /run/systemd/generator/var.mount
    mkdir /tmp/tree; systemctl start ostree-state-overlay@tmp-tree.service; touch /tmp/tree/state
    ls /var/ostree/state-overlays/tmp-tree/upper
    findmnt --noheadings --output=FSTYPE --mountpoint=/tmp/tree";

pub(crate) fn nothing_on_the_boot_path_needs_it(guest: Guest) -> Result<()> {
    let report = scenario(guest, "without-libostree")?.run_script(SCRIPT)?;
    let (state, failed) = (report.system_state()?, report.failed_units()?);
    ensure!(state == "running" && failed.is_empty(), "the system is {state}; failed units:\n{failed}");
    let output = report.script_output()?;
    ensure!(report.script_status()? == 0, "{output}");
    contains(&output, "\nactive\nactive\nactive\n")?;
    contains(&output, "\nWhat=/sysroot/ostree/deploy/default/var\n")?;
    contains(&output, "\nstate\noverlay\n")?;
    let table = report.mount_table()?;
    // /boot is a directory of /sysroot, which is read-only.
    for (target, is_read_only) in
        [("/var", false), ("/boot", true), ("/etc", false), ("/sysroot", true), ("/usr", true)]
    {
        ensure!(table.at(target).is_some_and(|mount| mount.is_read_only() == is_read_only), "{target}: {table}");
    }
    let generators = report.journal()?;
    let message = |text: &str| text.contains("ostree-system-generator");
    let said = generators.iter().filter_map(|entry| entry.field("MESSAGE")).find(|text| message(text));
    ensure!(said.is_none(), "{said:?}");
    Ok(())
}
