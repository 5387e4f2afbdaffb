//! The labels that `file-contexts` finds are those of libselinux: for each policy that Debian packages, for every path of a Debian
//! tree, and for paths made of all regexes. Every test is listed; without root and guests each is ignored by name.

mod beside_libselinux;
mod libselinux;
mod questions;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::guest::Guest;
use qemu_tests::policies;
use qemu_tests::stopwatch::{print_longest, timed};

/// Why the policies of this guest cannot be had here; nothing: they can.
fn why_not(guest: Guest) -> Option<String> {
    // Nothing is downloaded unasked.
    match std::env::var_os("FIRSTROOT_PEERS") {
        Some(_) => policies::why_not_installable(guest),
        None => Some("root and guests: cargo xtask test".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for guest in Guest::booted() {
        let missing = why_not(guest);
        let kind = missing.as_deref().map(|reason| format!("needs {reason}")).unwrap_or_default();
        for policy in policies::NAMES {
            let name = format!("beside_libselinux::{policy}_of_{guest}");
            let timed_name = name.clone();
            let run = move || {
                timed(&timed_name, || beside_libselinux::the_labels_are_the_same(guest, policy))
                    .map_err(|error| Failed::from(format!("{error:#}")))
            };
            trials.push(Trial::test(name, run).with_kind(kind.clone()).with_ignored_flag(missing.is_some()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    print_longest();
    conclusion.exit_code()
}
