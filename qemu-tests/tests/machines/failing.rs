//! Boots that cannot succeed, as somebody at the serial console sees them.

use anyhow::{Context, Result, ensure};
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
    "ostree-prepare-root: cannot boot: the boot link",
    "mounted:      /dev/vda on /sysroot, ext4, rw,relatime",
    "likely cause: ",
    "deployments:  none",
    "more:         /run/ostree/boot-failure",
    "what to do:   ",
];

/// The report as it is on the screen: 24 lines of 80 columns, without a whole checksum.
fn screen(console: &str) -> Result<Vec<&str>> {
    // What the firmware and systemd say to the terminal may stand before it.
    let begin = console.find("ostree-prepare-root: cannot boot:").and_then(|begin| console.get(begin..));
    let lines = begin.context("no report on the console")?.lines();
    let first = lines.clone().take(1);
    let screen: Vec<&str> = first.chain(lines.skip(1).take_while(|line| line.starts_with("  "))).collect();
    ensure!((4..=24).contains(&screen.len()), "{} lines:\n{console}", screen.len());
    for line in &screen {
        ensure!(line.chars().count() <= 80, "{line}");
        ensure!(!line.split(|c: char| !c.is_ascii_hexdigit()).any(|digits| digits.len() >= 62), "{line}");
    }
    Ok(screen)
}

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
    screen(&report.console()?)?;
    is_well(&report)
}

/// What the report says is typed: in the emergency shell, and at the boot menu of the next boot.
pub(crate) fn a_missing_link_is_explained_and_a_number_boots(guest: Guest) -> Result<()> {
    let typed = "/usr/lib/ostree/ostree-prepare-root --deployment 0 /sysroot";
    let lines = [
        sees("ostree-prepare-root: cannot boot: there is no boot link"),
        sees("deployments:  0 "),
        sees("firstroot.deployment=0"),
        sees(typed),
        sees("systemctl default"),
        sees("(or press Control-D to continue)"),
        types(""),
        sees("# "),
        types(&format!("{typed}; echo status=$?")),
        sees("status=0"),
        types("systemctl default"),
        Console::WaitsForTheEnd,
    ];
    let failing = || scenario(guest, "link-missing");
    let report = failing()?.kernel_arguments([EMERGENCY_SHELL]).run_with_person(&lines)?;
    let console = report.console()?;
    let screen = screen(&console)?;
    let end = screen.iter().rev().take(5).rev().map(|line| line.trim()).collect::<Vec<_>>();
    let cure = [
        "what to do:   in the boot menu choose another entry, or add:",
        "firstroot.deployment=0",
        "or in this shell:",
        typed,
        "systemctl default",
    ];
    ensure!(end == cure, "{screen:#?}");
    ensure!(report.system_state()? == "running", "{}", report.failed_units()?);
    // The system that came up after all knows why it did not at first, with whole checksums.
    let whole = report.run_ostree_file("boot-failure").unwrap_or_default();
    let whole = String::from_utf8_lossy(&whole).into_owned();
    contains(&whole, "deployments:  0: /ostree/deploy/default/deploy/")?;
    let first = whole.lines().next().unwrap_or_default();
    let journal = report.journal()?;
    let is_told = journal.iter().filter_map(|entry| entry.field("MESSAGE")).any(|message| message.contains(first));
    ensure!(is_told && first.contains("there is no boot link /ostree/boot.1/default/"), "{whole}");

    let report = failing()?.kernel_arguments(["firstroot.deployment=0"]).run()?;
    ensure!(report.system_state()? == "running", "{}", report.failed_units()?);
    ensure!(report.run_ostree_file("boot-failure").is_none() && report.run_ostree_file("recovered-boot").is_none());
    Ok(())
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
    screen(&console)?;
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
