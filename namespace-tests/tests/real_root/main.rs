//! The boot path of the real root beside libostree's: generator, remounts, state overlays, each in a guest's tree in a mount namespace.
//! Every test is listed; without root, guests, or the static binary each is ignored by name.

mod bad_input;
mod booted;
mod generator;
mod remount;
mod state_overlay;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::cache::Cache;
use qemu_tests::guest::Guest;
use qemu_tests::namespace::Namespace;
use qemu_tests::rootfs::{Rootfs, why_not_installable};
use qemu_tests::stopwatch::{print_longest, timed};

/// Where libostree's programs are in a guest.
const GENERATOR: &str = "/usr/lib/systemd/system-generators/ostree-system-generator";
const REMOUNT: &str = "/usr/lib/ostree/ostree-remount";
/// Where ours are inside: links to one binary.
const OURS: &str = "/run/ours";

/// The static binary under test; `None`: `cargo test` alone.
fn binary() -> Option<PathBuf> {
    std::env::var_os("FIRSTROOT_FINALIZE_STAGED").map(PathBuf::from)
}

/// A guest with the programs under test below [`OURS`].
fn guest_with_ours(guest: Guest) -> Result<Namespace> {
    let binary = binary().context("FIRSTROOT_FINALIZE_STAGED is not set")?;
    let directory = binary.parent().context("the binary has no directory")?;
    let name = binary.file_name().context("the binary has no name")?.to_string_lossy().into_owned();
    let links = ["ostree-system-generator", "ostree-remount", "ostree-state-overlay"]
        .map(|link| format!("ln -s ../binary/{name} \"$root{OURS}/{link}\""));
    let rootfs = Rootfs::of(guest, &Cache::open()?)?;
    Ok(Namespace::of(&rootfs.path())
        .bound(directory, "/run/binary")
        .prepared_by(&format!("mkdir -p \"$root{OURS}\"\n{}", links.join("\n"))))
}

/// Why the programs cannot be compared here; `None`: they can.
fn why_not(guest: Guest) -> Option<String> {
    if binary().is_none() || std::env::var_os("FIRSTROOT_PEERS").is_none() {
        return Some("needs root, guests and the static binary: cargo xtask test".to_owned());
    }
    why_not_installable(guest)
}

fn trial(guest: Guest, name: &str, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let full = format!("{guest}::{name}");
    let timed_name = full.clone();
    let missing = why_not(guest);
    let run = move || timed(&timed_name, run).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(full, run).with_kind(missing.clone().unwrap_or_default()).with_ignored_flag(missing.is_some())
}

/// Every function of a module as a test of the same name, on these guests.
macro_rules! tests {
    ($guests:expr, $group:ident: $($name:ident),* $(,)?) => {
        $guests.into_iter().flat_map(|guest| [$(
            trial(guest, concat!(stringify!($group), "::", stringify!($name)), move || $group::$name(guest))
        ),*]).collect::<Vec<_>>()
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        generator::trials(),
        tests!([Guest::Trixie], generator: units_of_2025_2_differ_where_named),
        tests!([Guest::Trixie, Guest::Forky], generator: a_link_that_leads_nowhere_hides_nothing),
        tests!([Guest::Forky], bad_input:
            a_directory_that_is_missing_or_full_is_named,
            a_run_that_cannot_be_written_to_is_no_obstacle,
            whatever_call_fails_no_file_is_half_there,
        ),
        remount::trials(),
        tests!([Guest::Forky], remount: a_mount_that_is_busy_does_not_keep_the_others),
        tests!([Guest::Forky], state_overlay:
            what_hides_the_new_tree_goes_as_with_libostree,
            the_mark_is_set_after_the_removals_are_on_the_disk,
        ),
        tests!([Guest::ForkySelinux], remount: a_transient_etc_gets_the_labels_that_libostree_gives),
    ];
    let conclusion = libtest_mimic::run(&arguments, trials.into_iter().flatten().collect());
    print_longest();
    conclusion.exit_code()
}
