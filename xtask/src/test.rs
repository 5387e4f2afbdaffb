//! `cargo xtask test`: everything that CI runs, phase by phase.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::binary;
use crate::house;
use crate::install;
use crate::manual_pages;
use crate::reproducible;
use crate::workspace::{self, cargo, run};

/// What of the tests runs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HowMuch {
    /// No whole machines.
    pub(crate) fast: bool,
    /// The machines, too, that are near to another one.
    pub(crate) all_machines: bool,
    /// Every power cut in place of a sample.
    pub(crate) all_power_cuts: bool,
}

/// Runs the phases. The first failure ends it.
pub(crate) fn test(how_much: HowMuch) -> Result<()> {
    let begin = Instant::now();
    phase("format", || run(cargo().args(["fmt", "--all", "--check"])))?;
    phase("lints", || {
        run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    phase("the house", house::check)?;
    phase("licences and sources of dependencies", deny)?;
    phase("manual pages", manual_pages::lint)?;
    phase("what needs neither root nor QEMU", || run(cargo().args(["test", "--quiet", "--workspace"])))?;
    phase("size of the static binaries", binary::size)?;
    phase("the same binaries from another folder", reproducible::check)?;
    phase("what the host needs", qemu_tests::host::ensure_ready)?;
    let destdir = workspace::root().join("target/destdir");
    install::install(&destdir, None)?;
    phase("mount namespaces", || run(&mut in_namespaces("namespaces")?))?;
    phase("finalization on disk images", || run(&mut in_namespaces("finalize")?))?;
    phase("power cuts", || run(&mut power_cuts(how_much.all_power_cuts)?))?;
    if how_much.fast {
        println!("\nskipped: whole machines (--fast)");
    } else {
        phase("initramfs by dracut", || run(&mut with_machines("dracut", &destdir)))?;
        phase("whole machines", || run(&mut machines(how_much.all_machines, &destdir)))?;
    }
    println!("\nall phases passed in {} s", begin.elapsed().as_secs());
    Ok(())
}

fn phase(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n==> {name}");
    let begin = Instant::now();
    work().with_context(|| format!("failed: {name}"))?;
    println!("    {name}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// cargo-deny is a tool that not every machine has; what it checks does not change from run to run.
fn deny() -> Result<()> {
    let there = cargo().args(["deny", "--version"]).output().is_ok_and(|output| output.status.success());
    if there {
        run(cargo().args(["deny", "--all-features", "check", "licenses", "bans", "sources"]))
    } else {
        println!("skipped: cargo deny (not installed: cargo install cargo-deny)");
        Ok(())
    }
}

fn in_namespaces(test: &str) -> Result<Command> {
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "namespace-tests", "--test", test]);
    command
        .env("FIRSTROOT_PREPARE_ROOT", binary::build(binary::PREPARE_ROOT)?)
        .env("FIRSTROOT_FINALIZE_STAGED", binary::build(binary::FINALIZE_STAGED)?)
        .env("FIRSTROOT_PEERS", "1");
    Ok(command)
}

fn power_cuts(all: bool) -> Result<Command> {
    let mut command = in_namespaces("power_cuts")?;
    command.env("FIRSTROOT_FINALIZE_SABOTAGED", binary::build_sabotaged()?);
    if all {
        command.env("FIRSTROOT_POWER_CUTS", "all");
    }
    Ok(command)
}

fn machines(all: bool, destdir: &Path) -> Command {
    let mut command = with_machines("machines", destdir);
    if all {
        command.env("FIRSTROOT_ALL_MACHINES", "1");
    }
    command
}

fn with_machines(test: &str, destdir: &Path) -> Command {
    let mut command = cargo();
    command.args(["test", "--package", "qemu-tests", "--test", test, "--", "--nocapture"]);
    command.env("FIRSTROOT_MACHINES", "1").env("FIRSTROOT_DESTDIR", destdir);
    command
}
