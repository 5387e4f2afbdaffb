//! `cargo xtask bench`: figures of ours and of the peer's, measured in the same run.

mod calls;
mod contestant;
mod disk_image;
mod initramfs_size;
mod memory;
mod stage;
mod table;
mod time;

use anyhow::{Result, ensure};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::host;
use qemu_tests::rootfs::{Rootfs, why_not_installable};

use crate::binary;
use contestant::{Contestant, Programs};
use stage::{Configuration, Stage};
use table::{Comparison, Goal, Section, Unit};
use time::Times;

/// Measures, prints, and fails if a goal is missed that does not depend on the machine.
pub(crate) fn bench() -> Result<()> {
    host::enter_mount_namespace()?;
    host::ensure_ready()?;
    let programs = Programs::build()?;
    let mut goals_met = true;
    for guest in [Guest::Trixie, Guest::Forky] {
        if let Some(reason) = why_not_installable(guest) {
            println!("skipped: {reason}\n");
            continue;
        }
        let section = figures(guest, &programs)?;
        println!("{section}");
        goals_met &= section.goals_met();
    }
    binary::size()?;
    ensure!(goals_met, "a goal is missed, see above");
    Ok(())
}

/// All comparisons with the peer of one guest.
fn figures(guest: Guest, programs: &Programs) -> Result<Section> {
    let cache = Cache::open()?;
    let rootfs = Rootfs::of(guest, &cache)?;
    let mut comparisons = Vec::new();
    for configuration in Configuration::ALL {
        comparisons.extend(stage::enter(programs, &rootfs, configuration, |stage| {
            stage.check_that_all_do_the_same()?;
            on_stage(stage, configuration.name())
        })?);
    }
    comparisons.extend(initramfs_size::compare(&rootfs, &cache)?);
    Ok(Section { title: format!("Beside the peer of Debian {guest}"), comparisons })
}

fn on_stage(stage: &Stage<'_>, configuration: &str) -> Result<Vec<Comparison>> {
    let calls = Comparison {
        what: format!("system calls, {configuration}"),
        unit: Unit::Count,
        ours: calls::count(stage, Contestant::Ours)?,
        peer: calls::count(stage, Contestant::Peer)?,
        goal: Goal::Binding(1.0 / 3.0),
    };
    let memory = Comparison {
        what: format!("peak memory, {configuration}"),
        unit: Unit::Bytes,
        ours: memory::peak(stage, Contestant::Ours)?,
        peer: memory::peak(stage, Contestant::Peer)?,
        goal: Goal::Binding(0.25),
    };
    // strace was the last that needs it.
    stage.leave_the_host()?;
    let Times { ours, peer, floor } = time::medians(stage)?;
    let time = Comparison {
        what: format!("time from exec to exit, {configuration}"),
        unit: Unit::Seconds,
        ours,
        peer,
        goal: Goal::Reported(0.35),
    };
    let above = (ours - floor) / (peer - floor) * 100.0;
    let floor = Comparison {
        what: "  floor: the mounts and nothing else".to_owned(),
        unit: Unit::Seconds,
        ours: floor,
        peer,
        goal: Goal::Note(format!("ours is {above:.0} % of the way up to the peer")),
    };
    Ok(vec![time, floor, memory, calls])
}
