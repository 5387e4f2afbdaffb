//! No power cut during a finalization leaves a machine that does not boot: the disk is rebuilt as it was after each write, and
//! looked at as GRUB does and as the kernel does. The same of repairs of boot links, of state overlays, and of the
//! projection of an ESP. Every test is listed; without root, or without what it needs, each is ignored by name.
//!
//! A sample of power cuts by itself; all of them with `FIRSTROOT_POWER_CUTS=all` (`cargo xtask test --all-power-cuts`), and then
//! of the peer, too, whose bad ones are counted.

mod attempts;
mod disks;
mod esp;
mod repair;
mod run;
mod state_overlay;
mod tests;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use namespace_tests::finalize::{Contestant, Filesystem};
use qemu_tests::guest::Guest;
use qemu_tests::rootfs;
use qemu_tests::stopwatch::{print_longest, timed};

use repair::{Damage, Repairer};
use state_overlay::Program;
use tests::Test;

/// Why this test cannot run here.
fn missing(test: &Test) -> Option<String> {
    if std::env::var_os("FIRSTROOT_PEERS").is_none() {
        return Some("cargo xtask test".to_owned());
    }
    if test.only_in_all && !run::all_are_wanted() {
        return Some("FIRSTROOT_POWER_CUTS=all".to_owned());
    }
    if !test.contestant.is_there() {
        return Some("the static binaries: cargo xtask test".to_owned());
    }
    rootfs::why_not_installable(test.guest)
}

fn trial(test: Test) -> Trial {
    named(test.name(), missing(&test), move || run::run(&test))
}

fn named(name: String, missing: Option<String>, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let kind = missing.as_deref().map(|reason| format!("needs {reason}")).unwrap_or_default();
    let timed_name = name.clone();
    let run = move || timed(&timed_name, run).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, run).with_kind(kind).with_ignored_flag(missing.is_some())
}

/// Why a test of another program than the finalizer cannot run here.
fn missing_for(is_built: bool, only_in_all: bool) -> Option<String> {
    if std::env::var_os("FIRSTROOT_PEERS").is_none() || !is_built {
        return Some("cargo xtask test".to_owned());
    }
    if only_in_all && !run::all_are_wanted() {
        return Some("FIRSTROOT_POWER_CUTS=all".to_owned());
    }
    rootfs::why_not_installable(Guest::Trixie)
}

/// Of `firstroot repair bootlinks`.
fn repairs() -> Vec<Trial> {
    let mut trials = Vec::new();
    let missing = |only_in_all| missing_for(repair::binary().is_some(), only_in_all);
    for filesystem in [Filesystem::Ext4, Filesystem::Xfs] {
        let (name, is_ext4) = (filesystem.name(), filesystem == Filesystem::Ext4);
        for (damage, only_in_all) in
            [(Damage::OneIsMissing, false), (Damage::OutOfStep, is_ext4), (Damage::SetHasNoName, !is_ext4)]
        {
            let name =
                format!("repair::every_power_cut_leaves_links_that_lead_right::{name}_{damage:?}").to_lowercase();
            trials.push(named(name, missing(only_in_all), move || {
                repair::every_power_cut_leaves_links_that_lead_right(filesystem, damage)
            }));
        }
        for (repairer, only_in_all, what) in
            [(Repairer::WithoutSyncs, is_ext4, "no_sync"), (Repairer::RemovingFirst, !is_ext4, "removing_first")]
        {
            let name = format!("repair::{what}_is_noticed::{name}");
            trials.push(named(name, missing(only_in_all), move || repair::is_noticed(filesystem, repairer)));
        }
    }
    trials
}

/// Of `ostree-state-overlay`.
fn state_overlays() -> Vec<Trial> {
    let mut trials = Vec::new();
    let missing = |only_in_all| missing_for(Contestant::Ours.is_there(), only_in_all);
    for filesystem in [Filesystem::Ext4, Filesystem::Xfs, Filesystem::Btrfs] {
        let name = format!("state_overlay::no_power_cut_leaves_what_hides_the_new_tree::{}", filesystem.name());
        trials.push(named(name, missing(false), move || {
            state_overlay::no_power_cut_leaves_what_hides_the_new_tree(filesystem)
        }));
    }
    for (program, what, filesystem) in [
        // Journals of ext4 and XFS keep the order of removals and mark. The log that an fsync of btrfs writes does not.
        (Program::NotSyncingRemovals, "no_sync_of_removals", Filesystem::Btrfs),
        (Program::NotSyncing, "no_sync", Filesystem::Xfs),
        (Program::MarkingFirst, "marking_first", Filesystem::Ext4),
    ] {
        let name = format!("state_overlay::{what}_is_noticed::{}", filesystem.name());
        trials.push(named(name, missing(false), move || state_overlay::is_noticed(filesystem, program)));
    }
    trials
}

/// Of the exchange of lists by `ostree-prepare-root`.
fn exchanges() -> Vec<Trial> {
    let is_built = std::env::var_os("FIRSTROOT_PREPARE_ROOT").is_some() && Contestant::Ours.is_there();
    let mut trials = Vec::new();
    for filesystem in [Filesystem::Ext4, Filesystem::Xfs] {
        let name = format!("attempts::every_power_cut_leaves_one_of_both_lists::{}", filesystem.name());
        let story = move || attempts::every_power_cut_leaves_one_of_both_lists(filesystem);
        trials.push(named(name, missing_for(is_built, false), story));
    }
    let noticed = || attempts::three_steps_are_noticed(Filesystem::Ext4);
    trials.push(named("attempts::three_steps_are_noticed::ext4".to_owned(), missing_for(is_built, false), noticed));
    trials
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // More than there are cores: mounting is mostly waiting.
    arguments.test_threads.get_or_insert(4);
    let tests = tests::all()
        .into_iter()
        .map(trial)
        .chain(repairs())
        .chain(exchanges())
        .chain(state_overlays())
        .chain(esp::trials())
        .collect();
    let conclusion = libtest_mimic::run(&arguments, tests);
    print_longest();
    conclusion.exit_code()
}
