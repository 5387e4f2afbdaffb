//! `cargo xtask bench`: figures of ours and of the peer's, measured in the same run.

mod boot;
mod calls;
mod command;
mod contestant;

mod disk;
mod disk_image;
mod esp;
mod finalize;
mod initramfs_size;
mod memory;
mod prepare_root;
mod real_root;
mod shutdown;
mod signed;
mod stage;
mod table;
mod time;
mod verification;

use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::host;
use qemu_tests::rootfs::why_not_installable;

use crate::binary;
use contestant::Programs;
use table::Section;

pub(crate) use memory::{MEASURE, measure};

/// A program whose figures can be had alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// At boot.
    PrepareRoot,
    /// What it adds to the initramfs of each generator; that of dracut is in [`Part::PrepareRoot`], too.
    Initramfs,
    /// The same with seals and signatures, in a whole machine.
    Signed,
    /// Before a boot.
    Verify,
    /// At shutdown.
    Finalize,
    /// The same in a whole machine.
    Shutdown,
    /// After the switch to the real root.
    RealRoot,
    /// The same in a whole machine.
    Boot,
    /// The command for people.
    Command,
    /// A projection with nothing to do, in a whole machine.
    Esp,
    /// [`Part::Shutdown`] with an SELinux policy.
    Selinux,
}

/// By the names that `--only` takes.
const PARTS: &[(&str, Part)] = &[
    ("prepare-root", Part::PrepareRoot),
    ("initramfs", Part::Initramfs),
    ("signed", Part::Signed),
    ("verify", Part::Verify),
    ("finalize", Part::Finalize),
    ("shutdown", Part::Shutdown),
    ("selinux", Part::Selinux),
    ("real-root", Part::RealRoot),
    ("boot", Part::Boot),
    ("command", Part::Command),
    ("esp", Part::Esp),
];

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Part> {
        let names = || PARTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let part = PARTS.iter().find(|(known, _)| *known == name).map(|(_, part)| *part);
        part.with_context(|| format!("there is no part {name:?} to measure: {}", names()))
    }
}

/// Measures, prints, and fails if a goal is missed that does not depend on the machine.
pub(crate) fn bench(only: Option<Part>) -> Result<()> {
    host::enter_mount_namespace()?;
    host::ensure_ready()?;
    let is_wanted = |part| only.is_none_or(|only| only == part);
    let mut goals_met = true;
    let mut print = |section: &Section| {
        println!("{section}");
        goals_met &= section.goals_met();
    };
    let mut guests = Vec::new();
    for guest in [Guest::Trixie, Guest::Forky] {
        match why_not_installable(guest) {
            Some(reason) => println!("skipped: {reason}\n"),
            None => guests.push(guest),
        }
    }
    if is_wanted(Part::PrepareRoot) {
        let programs = Programs::build()?;
        for guest in &guests {
            print(&prepare_root::figures(*guest, &programs)?);
        }
    }
    if is_wanted(Part::Initramfs) {
        let cache = Cache::open()?;
        println!("{}", initramfs_size::initramfs_tools::figures(&cache)?);
        for guest in guests.iter().filter(|_| only.is_some()) {
            print(&initramfs_size::section(*guest, &cache)?);
        }
    }
    if is_wanted(Part::Signed) && guests.contains(&Guest::Forky) {
        print(&signed::figures(Guest::Forky)?);
    }
    if is_wanted(Part::Verify) && guests.contains(&Guest::Forky) {
        print(&verification::figures(&binary::build(binary::PREPARE_ROOT)?)?);
    }
    if is_wanted(Part::Finalize) {
        let finalizer = binary::build(binary::FINALIZE_STAGED)?;
        for guest in &guests {
            finalize::figures(*guest, &finalizer, &mut print)?;
        }
    }
    if is_wanted(Part::RealRoot) {
        let binary = binary::build(binary::FINALIZE_STAGED)?;
        for guest in &guests {
            print(&real_root::figures(*guest, &binary)?);
        }
    }
    if is_wanted(Part::Boot) {
        for guest in &guests {
            print(&boot::figures(*guest)?);
        }
    }
    if is_wanted(Part::Shutdown) {
        for guest in &guests {
            print(&shutdown::figures(*guest)?);
        }
    }
    if is_wanted(Part::Command) && guests.contains(&Guest::Trixie) {
        print(&command::figures(&binary::build(binary::FIRSTROOT)?)?);
    }
    if is_wanted(Part::Esp) && guests.contains(&Guest::Trixie) {
        print(&esp::figures(Guest::Trixie)?);
    }
    // The same archive as Debian testing's.
    if is_wanted(Part::Selinux) && guests.contains(&Guest::Forky) {
        print(&shutdown::figures(Guest::ForkySelinux)?);
    }
    binary::size()?;
    ensure!(goals_met, "a goal is missed, see above");
    Ok(())
}
