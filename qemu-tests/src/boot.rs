//! `cargo xtask boot`: one machine, and what happened in it.

use anyhow::{Context, Result};

use crate::host;
use crate::package::INSTALLED_PREPARE_ROOT;
use crate::report::Report;
use crate::scenario::Scenario;

/// What to boot, and how.
#[derive(Clone, Debug, Default)]
pub struct BootOptions {
    /// A shell on the serial console instead of a report.
    pub interactive: bool,
}

/// Boots `scenario` and shows the plan, the mounts, `ostree admin status` and the timings on standard output.
pub fn show(scenario: &Scenario, options: &BootOptions) -> Result<()> {
    host::enter_mount_namespace()?;
    host::ensure_ready()?;
    if options.interactive {
        println!("A shell on the serial console follows; leaving it (exit) switches the machine off.");
        return scenario.interact();
    }
    let report = scenario.run_script(&format!("/{INSTALLED_PREPARE_ROOT} --plan /sysroot"))?;
    print(scenario, &report)
}

fn print(scenario: &Scenario, report: &Report) -> Result<()> {
    let section = |title: &str, text: &str| println!("== {title}\n{}\n", text.trim_end());
    println!("{scenario}: {} after {:.1} s\n", report.system_state()?, report.duration().as_secs_f64());
    section("Plan (ostree-prepare-root --plan /sysroot, in the booted system)", &report.script_output()?);
    let table = report.mount_table()?;
    section("Mounts of the disk", &table.without(|mount| !mount.source.starts_with("/dev/")).to_string());
    section("ostree admin status", &report.admin_status()?);
    section("Time", &report.timings()?);
    let failed = report.failed_units()?;
    if !failed.is_empty() {
        section("Failed units", &failed);
    }
    let log = report.console_log().canonicalize().context("finding the console log")?;
    println!("Everything else: {}", log.parent().unwrap_or(&log).display());
    Ok(())
}
