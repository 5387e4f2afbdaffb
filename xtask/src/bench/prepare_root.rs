//! prepare-root, in an initramfs.

use anyhow::Result;
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::rootfs::Rootfs;

use super::contestant::{Contestant, Programs};
use super::stage::{self, Configuration, Stage};
use super::table::{Comparison, Goal, Section, Unit};
use super::time::{self, Times};
use super::{calls, initramfs_size, memory};

/// All comparisons with the peer of one guest.
pub(crate) fn figures(guest: Guest, programs: &Programs) -> Result<Section> {
    let cache = Cache::open()?;
    let rootfs = Rootfs::of(guest, &cache)?;
    let mut comparisons = Vec::new();
    for configuration in Configuration::of(guest) {
        comparisons.extend(stage::enter(programs, &rootfs, *configuration, |stage| {
            stage.check_that_all_do_the_same()?;
            on_stage(stage, *configuration)
        })?);
    }
    comparisons.extend(initramfs_size::compare(&rootfs, &cache)?);
    Ok(Section { title: format!("prepare-root, beside Debian {guest}'s"), comparisons })
}

fn on_stage(stage: &Stage<'_>, configuration: Configuration) -> Result<Vec<Comparison>> {
    // Ours reads init and its interpreter, and lists the directory of drop-ins until two passes agree: about fifteen calls that
    // libostree does not make. An image is mounted by calls that both have to make.
    let (most_calls, most_time) = match configuration {
        Configuration::Plain | Configuration::SysrootReadOnly => (0.4, 0.35),
        // Counting is what libostree does not do: it reads two files, and writes one, durably.
        Configuration::Counting => (0.55, 1.0),
        Configuration::Image => (0.46, 0.4),
        // Ours finds out why the image cannot be sealed, and says so, in calls of its own.
        Configuration::ImageWithVerity => (0.5, 0.4),
    };
    let configuration = configuration.name();
    let calls = Comparison {
        what: format!("system calls, {configuration}"),
        unit: Unit::Count,
        ours: calls::count(stage, Contestant::Ours)?,
        peer: calls::count(stage, Contestant::Peer)?,
        goal: Goal::Binding(most_calls),
    };
    let memory = Comparison {
        what: format!("peak memory, {configuration}"),
        unit: Unit::Bytes,
        ours: memory::peak(stage, Contestant::Ours)?,
        peer: memory::peak(stage, Contestant::Peer)?,
        goal: Goal::Binding(0.26),
    };
    // strace was the last that needs it.
    stage.leave_the_host()?;
    let Times { ours, peer, floor } = time::medians(stage)?;
    let time = Comparison {
        what: format!("time from exec to exit, {configuration}"),
        unit: Unit::Seconds,
        ours,
        peer,
        goal: Goal::Reported(most_time),
    };
    let above = (ours - floor) / (peer - floor) * 100.0;
    let floor = Comparison {
        what: "  floor: the mounts and nothing else".to_owned(),
        unit: Unit::Seconds,
        ours: floor,
        peer,
        goal: Goal::Note(format!("firstroot needs {above:.0} % of libostree's time above the floor")),
    };
    Ok(vec![time, floor, memory, calls])
}
