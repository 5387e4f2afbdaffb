//! What is printed does not talk to the terminal, whatever names a disk or a command line has.

use anyhow::{Result, ensure};
use namespace_tests::{Initramfs, Outcome};

use crate::bad_input::refused;

/// Clears the screen, begins a line that looks like another program's, and turns the rest around.
const ODD: &str = "o\u{1b}[2J\n<3>systemd[1]: forged\u{202e}'; reboot";
const SHOWN: &str = r"o\u{1b}[2J\n<3>systemd[1]: forged\u{202e}'; reboot";

fn is_quiet(outcome: &Outcome) -> Result<()> {
    for text in [&outcome.stdout, &outcome.told()] {
        ensure!(!text.contains(['\u{1b}', '\u{202e}']) && !text.contains("\n<3>systemd"), "{text}");
    }
    Ok(())
}

pub(crate) fn a_report_shows_names_and_does_not_obey_them(initramfs: &mut Initramfs) -> Result<()> {
    let disk = initramfs.disk.clone();
    disk.link(&format!("ostree/boot.1/os/{}/{ODD}", disk.bootcsum), "nowhere")?;
    let argument = format!("ostree=\"/ostree/boot.1/{ODD}/{}/0\"", disk.bootcsum);
    let outcome = refused(initramfs, &["/sysroot", &argument], &[SHOWN, "boot links:"])?;
    is_quiet(&outcome)
}

pub(crate) fn a_plan_shows_names_and_does_not_obey_them(initramfs: &mut Initramfs) -> Result<()> {
    let disk = initramfs.disk.clone();
    let odd_root = format!("ostree/deploy/{ODD}");
    std::fs::rename(disk.path("ostree/deploy/os"), disk.path(&odd_root))?;
    let deployment = disk.deployment.replace("deploy/os/", &format!("deploy/{ODD}/"));
    disk.link("ostree/odd", deployment.trim_start_matches("ostree/"))?;
    let shown = deployment.replace(ODD, SHOWN);
    let plan = initramfs.run(["--plan", "/sysroot", "ostree=/ostree/odd"])?;
    ensure!(plan.code == Some(0) && plan.stdout.contains(&shown), "{plan:?}");
    is_quiet(&plan)?;
    let json = initramfs.run(["--plan", "--json", "/sysroot", "ostree=/ostree/odd"])?;
    is_quiet(&json)?;
    let json: serde_json::Value = serde_json::from_str(&json.stdout)?;
    json_schemas::require("prepare-root-plan", &json)?;
    ensure!(json.to_string().contains("forged"), "{json}");
    // The command that gives up a hotfix is one that can be pasted.
    disk.directory(&format!("{deployment}/.usr-ovl-work"))?;
    let outcome =
        refused(initramfs, &["/sysroot", "ostree=/ostree/odd"], &["cd \"$(printf '/sysroot/ostree/deploy/o"])?;
    is_quiet(&outcome)
}

pub(crate) fn what_cannot_be_printed_is_told(_: &mut Initramfs) -> Result<()> {
    let mut full = std::process::Command::new("/usr/lib/ostree/ostree-prepare-root");
    full.arg("--version").stdout(std::fs::File::create("/dev/full")?);
    let output = full.output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{output:?}");
    ensure!(stderr.contains("cannot write to standard output: No space left on device"), "{stderr}");
    Ok(())
}
