//! No power cut during a finalization leaves a machine that does not boot: the disk is rebuilt as it was after each write, and
//! looked at as GRUB does and as the kernel does. Every test is listed; without root, or without what it needs, each is ignored
//! by name.
//!
//! A sample of power cuts by itself; all of them with `FIRSTROOT_POWER_CUTS=all` (`cargo xtask test --all-power-cuts`), and then
//! of the peer, too, whose bad ones are counted.

mod disks;
mod run;
mod tests;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::rootfs;
use qemu_tests::stopwatch::{print_longest, timed};

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
    let missing = missing(&test);
    let kind = missing.as_deref().map(|reason| format!("needs {reason}")).unwrap_or_default();
    let name = test.name();
    let timed_name = name.clone();
    let run = move || timed(&timed_name, || run::run(&test)).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, run).with_kind(kind).with_ignored_flag(missing.is_some())
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // More than there are cores: mounting is mostly waiting.
    arguments.test_threads.get_or_insert(4);
    let tests = tests::all().into_iter().map(trial).collect();
    let conclusion = libtest_mimic::run(&arguments, tests);
    print_longest();
    conclusion.exit_code()
}
