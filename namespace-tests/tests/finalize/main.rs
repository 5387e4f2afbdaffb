//! Finalization, on disks that the peer has installed and staged an update on: every test is listed; without root, or without
//! the static binary where a test needs it, each is ignored by name.
//!
//! `cargo xtask test` builds the binary and sets `FIRSTROOT_FINALIZE_STAGED` to its path, and `FIRSTROOT_PEERS`, without which
//! nobody downloads a guest.

mod fixture;
mod ours;
mod scratch;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::guest::Guest;
use qemu_tests::rootfs;

/// Whether guests' root filesystems may be made.
fn peers_are_wanted() -> bool {
    std::env::var_os("FIRSTROOT_PEERS").is_some()
}

/// A test of what a guest's `ostree` makes.
fn trial(name: &str, guest: Guest, run: impl FnOnce(Guest) -> anyhow::Result<()> + Send + 'static) -> Trial {
    let missing =
        if peers_are_wanted() { rootfs::why_not_installable(guest) } else { Some("cargo xtask test".to_owned()) };
    let kind = missing.as_deref().map(|reason| format!("needs root and {guest}: {reason}")).unwrap_or_default();
    let run = move || run(guest).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(format!("{name}_with_{guest}"), run).with_kind(kind).with_ignored_flag(missing.is_some())
}

/// Functions as tests of the same name, with each guest.
macro_rules! with_each_guest {
    ($group:ident: $($name:ident),* $(,)?) => {
        Guest::booted().into_iter().flat_map(|guest| {
            [$(trial(concat!(stringify!($group), "::", stringify!($name)), guest, $group::$name)),*]
        })
    };
}

fn main() -> ExitCode {
    // One at a time: two cores, and figures that can be read.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let tests = with_each_guest!(fixture:
        the_booted_system_is_one_to_ostree,
        what_is_staged_is_still_staged_in_a_copy,
        the_peer_finalizes_and_the_new_system_boots,
        the_journal_is_heard,
        a_program_can_be_made_to_fail,
        a_frozen_filesystem_is_noticed,
        every_filesystem_works,
    );
    let tests = tests.chain(with_each_guest!(scratch: trace,)).chain(with_each_guest!(ours:
        the_new_system_boots_with_the_machines_etc,
    ));
    libtest_mimic::run(&arguments, tests.collect()).exit_code()
}
