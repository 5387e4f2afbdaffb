//! Boots that cannot succeed, as somebody at the serial console sees them.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::sysroot::LOST;
use qemu_tests::{Console, EMERGENCY_SHELL};

use crate::{contains, is_well, scenario};

fn sees(text: &str) -> Console {
    Console::Sees(text.to_owned())
}

fn types(line: &str) -> Console {
    Console::Types(line.to_owned())
}

/// What dracut says before the shell.
const EMERGENCY: &str = "Entering emergency mode";

/// What a report has, in this order.
const REPORT: &[&str] = &[
    "cannot boot: the boot link /ostree/boot.1/default/",
    "asked for:    /ostree/boot.1/default/",
    "looked up:    /ostree/boot.1/default/",
    "mounted:      /dev/vda on /sysroot, ext4, rw,relatime",
    "boot links:   /ostree/boot.1/default/",
    "deployments:  none",
    "likely cause: ",
    "what to do:   ",
];

pub(crate) fn a_missing_deployment_is_explained_and_repaired_in_the_emergency_shell(guest: Guest) -> Result<()> {
    let mut lines: Vec<Console> = REPORT.iter().map(|text| sees(text)).collect();
    lines.extend([
        sees("(or press Control-D to continue)"),
        types(""),
        sees("# "),
        types("systemctl is-active emergency.target"),
        sees("\nactive"),
        types("while read -r a b c root target rest; do [ $target != /sysroot ] || echo mounted=$root; done </proc/self/mountinfo"),
        sees("mounted=/"),
        types("link=$(readlink /sysroot/ostree/boot.1/default/*/0); cd /sysroot/ostree/deploy/default"),
        types(&format!("mount -o remount,rw /sysroot; mv {LOST} deploy/${{link##*/}}; cd /")),
        types("/usr/lib/ostree/ostree-prepare-root /sysroot; echo status=$?"),
        sees("status=0"),
        types("systemctl default"),
        Console::WaitsForTheEnd,
    ]);
    let scenario = scenario(guest, "deployment-missing")?.kernel_arguments([EMERGENCY_SHELL]);
    let report = scenario.run_with_person(&lines)?;
    is_well(&report)
}

pub(crate) fn a_machine_without_a_keyboard_reboots(guest: Guest) -> Result<()> {
    leaves(guest, "reboot-on-failure", "rebooting in 10 seconds", "reboot: Restarting system")
}

pub(crate) fn a_machine_without_a_keyboard_powers_off(guest: Guest) -> Result<()> {
    leaves(guest, "poweroff-on-failure", "powering off in 10 seconds", "reboot: Power down")
}

fn leaves(guest: Guest, name: &str, announced: &str, done: &str) -> Result<()> {
    let mut lines: Vec<Console> = REPORT.iter().map(|text| sees(text)).collect();
    lines.extend([sees(announced), sees(done), Console::WaitsForTheEnd]);
    let report = scenario(guest, name)?.run_with_person(&lines)?;
    ensure!(!report.came_up(), "it must not have come up");
    let console = report.console()?;
    ensure!(!console.contains(EMERGENCY), "no shell was asked for:\n{console}");
    Ok(())
}

pub(crate) fn whoever_asked_for_a_shell_gets_one(guest: Guest) -> Result<()> {
    let mut lines: Vec<Console> = REPORT.iter().map(|text| sees(text)).collect();
    lines.push(sees(EMERGENCY));
    let report = scenario(guest, "reboot-on-failure")?.kernel_arguments(["rd.shell"]).run_with_person(&lines)?;
    let console = report.console()?;
    ensure!(!console.contains("rebooting in"), "{console}");
    contains(&console, "cannot boot: ")
}
