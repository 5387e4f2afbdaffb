//! Finalization, on disks on which the guest's own `ostree` staged an update.

mod run;
mod system;
mod trace;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use namespace_tests::finalize::Contestant;
use qemu_tests::guest::Guest;

use self::run::{Bed, Entrant};
use self::system::System;
use self::trace::Times;
use super::disk::Memory;
use super::table::{Comparison, Goal, Section, Unit};
use super::time::median;

/// How often each program runs, in turn with the others.
const RUNS: usize = 7;
/// The same where a run takes long.
const FEW_RUNS: usize = 3;

const OURS: Entrant = Entrant { contestant: Contestant::Ours, prepared: false };
const OURS_PREPARED: Entrant = Entrant { contestant: Contestant::Ours, prepared: true };
const PEER: Entrant = Entrant { contestant: Contestant::Peer, prepared: false };

/// All comparisons with the peer of one guest, as they come.
pub(crate) fn figures(guest: Guest, finalizer: &Path, print: &mut dyn FnMut(&Section)) -> Result<()> {
    const THIRD: f64 = 1.0 / 3.0;
    const FIFTH: f64 = 0.2;
    let systems =
        [(system::small(), THIRD), (system::small_with_separate_boot(), THIRD), (system::many(20_000), FIFTH)];
    for (system, goal) in systems {
        let comparisons = of_system(&system, goal, guest, finalizer)?;
        print(&Section { title: format!("finalize, {}, {guest}", system.name), comparisons });
    }
    let mut comparisons = Vec::new();
    for (files, runs) in [(1_000, RUNS), (10_000, RUNS), (100_000, FEW_RUNS)] {
        comparisons.push(growth(&system::many(files), runs, guest, finalizer)?);
    }
    print(&Section { title: format!("finalize, growth, {guest}"), comparisons });
    Ok(())
}

/// Times, memory and calls. Where `/boot` is a filesystem of its own, `--prepare` has something to do.
fn of_system(system: &System, goal: f64, guest: Guest, finalizer: &Path) -> Result<Vec<Comparison>> {
    let with_prepared = system.story.boot != namespace_tests::finalize::Boot::Same;
    let bed = Bed::make(system, guest, finalizer, with_prepared)?;
    let mut entrants = vec![OURS, PEER];
    entrants.extend(with_prepared.then_some(OURS_PREPARED));
    let mut comparisons = Vec::new();
    for (name, memory) in [("warm", Memory::Warm), ("cold", Memory::Cold)] {
        let series = series(&bed, &entrants, memory, RUNS)?;
        let [ours, peer, prepared @ ..] = series.as_slice() else { continue };
        comparisons.extend(times(name, ours, peer, goal)?);
        for prepared in prepared {
            comparisons.extend(times(&format!("{name}, after --prepare"), prepared, peer, goal)?);
        }
    }
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..FEW_RUNS {
        ours.push(bed.measured(OURS)?);
        peer.push(bed.measured(PEER)?);
    }
    let note = Goal::Note(String::new());
    comparisons.push(Comparison {
        what: "  warm, in total, not traced".to_owned(),
        unit: Unit::Seconds,
        ours: median(ours.iter().map(|run| run.time).collect())?,
        peer: median(peer.iter().map(|run| run.time).collect())?,
        goal: note.clone(),
    });
    comparisons.push(Comparison {
        what: "peak memory".to_owned(),
        unit: Unit::Bytes,
        ours: ours.iter().map(|run| run.peak).fold(0.0, f64::max),
        // The goal has to be met beside the best of them.
        peer: peer.iter().map(|run| run.peak).fold(f64::INFINITY, f64::min),
        goal: Goal::Binding(0.5),
    });
    comparisons.push(Comparison {
        what: "system calls".to_owned(),
        unit: Unit::Count,
        ours: bed.calls(OURS)?,
        peer: bed.calls(PEER)?,
        goal: note,
    });
    Ok(comparisons)
}

/// How much longer it takes with more files: warm, without the disk.
fn growth(system: &System, runs: usize, guest: Guest, finalizer: &Path) -> Result<Comparison> {
    let bed = Bed::make(system, guest, finalizer, false)?;
    let series = series(&bed, &[OURS, PEER], Memory::Warm, runs)?;
    let [ours, peer] = series.as_slice() else { anyhow::bail!("two were measured") };
    let (ours, peer) = (own(ours)?, own(peer)?);
    let each = |time: f64| time / f64::from(system.files) * 1e6;
    Ok(Comparison {
        what: format!("warm, {}, a tenth changed", system.name),
        unit: Unit::Seconds,
        ours,
        peer,
        goal: Goal::Note(format!("a file: firstroot {:.1} µs, libostree {:.1} µs", each(ours), each(peer))),
    })
}

/// Of each entrant its runs: all in turn, again and again, so that what else the machine does hits each of them.
fn series(bed: &Bed, entrants: &[Entrant], memory: Memory, runs: usize) -> Result<Vec<Vec<Times>>> {
    let mut series = vec![Vec::new(); entrants.len()];
    for _ in 0..runs {
        for (entrant, times) in entrants.iter().zip(&mut series) {
            times.push(bed.times(*entrant, memory).with_context(|| format!("{memory:?}"))?);
        }
    }
    Ok(series)
}

fn times(name: &str, ours: &[Times], peer: &[Times], goal: f64) -> Result<[Comparison; 3]> {
    let comparison = |what: String, figure: fn(&Times) -> Duration, goal| -> Result<Comparison> {
        let of = |runs: &[Times]| median(runs.iter().map(figure).collect());
        Ok(Comparison { what, unit: Unit::Seconds, ours: of(ours)?, peer: of(peer)?, goal })
    };
    let note = || Goal::Note(String::new());
    Ok([
        comparison(name.to_owned(), |times| times.own(), Goal::Reported(goal))?,
        comparison("  inside sync, freeze and thaw".to_owned(), |times| times.synced, note())?,
        comparison("  in total, from exec to exit".to_owned(), |times| times.total, note())?,
    ])
}

fn own(runs: &[Times]) -> Result<f64> {
    median(runs.iter().map(|times| times.own()).collect())
}
