//! `cargo xtask test`: everything that CI runs, phase by phase.
//!
//! Guests and static binaries are made while lints and tests without root are compiled: one of them waits for a mirror, another one
//! links on one processor. From the namespaces on, phases follow each other, and each keeps all processors busy by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::policies::{self, Policies};
use qemu_tests::rootfs::{self, Rootfs};

use crate::binary;
use crate::fuzz;
use crate::house;
use crate::install;
use crate::manual_pages;
use crate::package;
use crate::phases::{Phases, Taken, timed};
use crate::shell_scripts;
use crate::workspace::{self, cargo, run};

/// What of the tests runs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HowMuch {
    /// No whole machines.
    pub(crate) fast: bool,
    /// The machines, too, that are near to another one, and every call at which a run can be disturbed.
    pub(crate) all: bool,
    /// Every power cut in place of a sample.
    pub(crate) all_power_cuts: bool,
}

/// Runs the phases. The first failure ends it.
pub(crate) fn test(how_much: HowMuch) -> Result<()> {
    let mut phases = Phases::begin();
    qemu_tests::host::ensure_ready()?;
    let (binaries, _) = std::thread::scope(|scope| {
        let binaries =
            scope.spawn(|| timed("static binaries and packages, at the same time", || Binaries::build(how_much.all)));
        let guests = scope.spawn(|| timed("guests, at the same time", make_guests));
        let checked = without_root(&mut phases);
        println!("\nwaiting for static binaries and guests");
        let (binaries, guests) = (joined(binaries), joined(guests));
        checked?;
        Ok::<_, anyhow::Error>((phases.beside(binaries)?, phases.beside(guests)?))
    })?;
    phases.run("mount namespaces", || run(&mut binaries.in_namespaces("namespaces")))?;
    phases.run("boot path of the real root", || run(&mut binaries.in_namespaces("real_root")))?;
    phases.run("labels beside libselinux", || run(&mut binaries.perhaps_every_call("labels", how_much.all)))?;
    phases.run("finalization on disk images", || run(&mut binaries.perhaps_every_call("finalize", how_much.all)))?;
    phases.run("power cuts", || run(&mut binaries.power_cuts(how_much.all_power_cuts)))?;
    if how_much.fast {
        println!("\nskipped: whole machines (--fast)");
    } else {
        phases.run("packages", || run(&mut with_machines("packages", &binaries.destdir)))?;
        phases.run("initramfs", || run(&mut with_machines("initramfs", &binaries.destdir)))?;
        phases.run("whole machines", || run(&mut machines(how_much.all, &binaries.destdir)))?;
    }
    phases.print();
    Ok(())
}

/// What needs neither root nor guests. All test programs are compiled here, those as well that run later.
fn without_root(phases: &mut Phases) -> Result<()> {
    phases.run("format", || run(cargo().args(["fmt", "--all", "--check"])))?;
    phases.run("lints", || {
        run(cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    phases.run("the house", house::check)?;
    phases.run("licences and sources of dependencies", deny)?;
    phases.run("manual pages", manual_pages::lint)?;
    phases.run("shell scripts", shell_scripts::lint)?;
    phases.run("lock file of the fuzzer", fuzz::check_lock_file)?;
    phases.run("tests without root and QEMU", || run(cargo().args(["test", "--quiet", "--workspace"])))
}

type Handle<'scope, T> = std::thread::ScopedJoinHandle<'scope, Taken<T>>;

fn joined<T>(handle: Handle<'_, T>) -> Taken<T> {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Programs on the host, and the guests' root filesystems, which every phase from the namespaces on needs.
fn make_guests() -> Result<()> {
    let cache = Cache::open()?;
    for guest in Guest::all() {
        // One of a release that moves may not be installable today; the tests say so.
        if rootfs::why_not_installable(guest).is_none() {
            Rootfs::of(guest, &cache).with_context(|| format!("making {guest}"))?;
        }
    }
    for guest in Guest::booted() {
        if policies::why_not_installable(guest).is_none() {
            Policies::of(guest, &cache).with_context(|| format!("the SELinux policies of {guest}"))?;
        }
    }
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

/// What ships, and the finalizer of the test of tests.
struct Binaries {
    prepare_root: PathBuf,
    finalize_staged: PathBuf,
    command: PathBuf,
    sabotaged: PathBuf,
    /// What a guest runs in tests of power cuts of an ESP, and the same with sabotages.
    esp_power_cuts: [PathBuf; 2],
    /// With everything that is installed.
    destdir: PathBuf,
}

impl Binaries {
    /// Those in the packages. With `all`, the packages' must be the ones that are built here, in another folder, from other copies of
    /// the sources and by another user.
    fn build(all: bool) -> Result<Binaries> {
        let destdir = workspace::root().join("target/destdir");
        // A file of an earlier state would be installed in every guest.
        if destdir.exists() {
            fs::remove_dir_all(&destdir).with_context(|| format!("removing {}", destdir.display()))?;
        }
        if all { Binaries::built_here(destdir) } else { Binaries::taken_out_of_packages(destdir) }
    }

    fn built_here(destdir: PathBuf) -> Result<Binaries> {
        binary::size()?;
        install::install(&destdir, None)?;
        package::package(None)?;
        Ok(Binaries {
            prepare_root: binary::build(binary::PREPARE_ROOT)?,
            finalize_staged: binary::build(binary::FINALIZE_STAGED)?,
            command: binary::build(binary::FIRSTROOT)?,
            sabotaged: binary::build_sabotaged()?,
            esp_power_cuts: binary::build_esp_power_cuts()?,
            destdir,
        })
    }

    fn taken_out_of_packages(destdir: PathBuf) -> Result<Binaries> {
        package::package_and_take_programs()?;
        println!("skipped: a second build, which must give the same bytes, and one with musl (only with --all)");
        for program in binary::PROGRAMS {
            binary::fits(program, &binary::taken(program)?)?;
        }
        install::install_taken(&destdir)?;
        let sabotaged = binary::directory_of_taken()?.join("sabotaged");
        Ok(Binaries {
            prepare_root: binary::taken(binary::PREPARE_ROOT)?,
            finalize_staged: binary::taken(binary::FINALIZE_STAGED)?,
            command: binary::taken(binary::FIRSTROOT)?,
            sabotaged: sabotaged.join(binary::FINALIZE_STAGED.name),
            esp_power_cuts: [binary::directory_of_taken()?.join("esp-power-cuts"), sabotaged.join("esp-power-cuts")],
            destdir,
        })
    }

    /// Of the whole workspace, as in the phase that has compiled it: for one package alone, cargo would compile dependencies once more.
    fn in_namespaces(&self, test: &str) -> Command {
        let mut command = cargo();
        command.args(["test", "--quiet", "--workspace", "--test", test]);
        command
            .env("FIRSTROOT_PREPARE_ROOT", &self.prepare_root)
            .env("FIRSTROOT_FINALIZE_STAGED", &self.finalize_staged)
            .env("FIRSTROOT_COMMAND", &self.command)
            .env("FIRSTROOT_PEERS", "1");
        command
    }

    fn perhaps_every_call(&self, test: &str, every_call: bool) -> Command {
        let mut command = self.in_namespaces(test);
        if every_call {
            command.env("FIRSTROOT_EVERY_CALL", "1");
        }
        command
    }

    fn power_cuts(&self, all: bool) -> Command {
        let mut command = self.in_namespaces("power_cuts");
        let [esp, esp_sabotaged] = &self.esp_power_cuts;
        command
            .env("FIRSTROOT_FINALIZE_SABOTAGED", &self.sabotaged)
            .env("FIRSTROOT_ESP_POWER_CUTS", esp)
            .env("FIRSTROOT_ESP_POWER_CUTS_SABOTAGED", esp_sabotaged);
        if all {
            command.env("FIRSTROOT_POWER_CUTS", "all");
        }
        command
    }
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
    command.args(["test", "--workspace", "--test", test, "--", "--nocapture"]);
    command
        .env("FIRSTROOT_MACHINES", "1")
        .env("FIRSTROOT_DESTDIR", destdir)
        .env("FIRSTROOT_PACKAGES", package::directory());
    command
}
