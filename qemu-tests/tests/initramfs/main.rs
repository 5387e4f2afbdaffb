//! What our hooks put into an initramfs: by the dracut of each release (059 in Debian 12, 106 in 13, and the newest), by
//! initramfs-tools, by mkinitcpio.

mod build;
mod dracut;
mod initramfs_tools;
mod mkinitcpio;
mod packages;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::guest::{Generator, Guest};
use qemu_tests::host;
use qemu_tests::rootfs::why_not_installable;
use qemu_tests::stopwatch::{print_longest, timed};

/// What a test does with one guest.
type Story = fn(Guest) -> Result<()>;

const OF_DRACUT: &[(&str, Story)] = &[
    ("no_path_is_another_packages", packages::no_path_is_another_packages),
    ("dracut::the_image_has_what_a_boot_needs", dracut::the_image_has_what_a_boot_needs),
    (OF_ANOTHER_TREE, dracut::another_tree_than_its_own_gives_the_same_image),
    ("dracut::who_mounts_boot_can_be_said", dracut::who_mounts_boot_can_be_said),
    ("dracut::a_configuration_that_would_stop_the_boot_stops_the_build", dracut::a_bad_configuration_stops_the_build),
    ("dracut::without_systemd_a_hook_runs_it", dracut::without_systemd_a_hook_runs_it),
];

const OF_ANOTHER_TREE: &str = "dracut::another_tree_than_its_own_gives_the_same_image";

const OF_INITRAMFS_TOOLS: &[(&str, Story)] = &[
    ("no_path_is_another_packages", packages::no_path_is_another_packages),
    ("initramfs_tools::the_image_has_what_a_boot_needs", initramfs_tools::the_image_has_what_a_boot_needs),
    (
        "initramfs_tools::a_configuration_that_would_stop_the_boot_stops_the_build",
        initramfs_tools::a_bad_configuration_stops_the_build,
    ),
];

/// Where it does not matter which guest it is.
const ONCE: &[(&str, Story)] = &[
    ("dracut::an_initramfs_of_packages_has_the_same", dracut::an_initramfs_of_packages_has_the_same),
    ("mkinitcpio::with_the_hook_systemd_a_unit_runs_it", mkinitcpio::with_the_hook_systemd_a_unit_runs_it),
    ("mkinitcpio::without_it_a_late_hook_does", mkinitcpio::without_it_a_late_hook_does),
    (
        "mkinitcpio::a_configuration_that_would_stop_the_boot_stops_the_build",
        mkinitcpio::a_bad_configuration_stops_the_build,
    ),
];

fn main() -> ExitCode {
    let wanted = std::env::var_os("FIRSTROOT_MACHINES").is_some();
    let arguments = Arguments::from_args();
    if wanted
        && !arguments.list
        && let Err(error) = host::ensure_ready()
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let mut trials = Vec::new();
    for guest in [Guest::Bookworm, Guest::Trixie, Guest::TrixieInitramfsTools, Guest::Forky] {
        let why_not = if wanted {
            why_not_installable(guest).unwrap_or_default()
        } else {
            "needs root and guests: cargo xtask test".to_owned()
        };
        let stories = match guest.generator() {
            Generator::Dracut => OF_DRACUT,
            Generator::InitramfsTools => OF_INITRAMFS_TOOLS,
        };
        let once = if guest == Guest::Trixie { ONCE } else { &[] };
        for (name, story) in stories.iter().chain(once) {
            // Debian 12's dracut finds no udev in another tree, with or without our module.
            if guest == Guest::Bookworm && *name == OF_ANOTHER_TREE {
                continue;
            }
            let full = format!("{guest}::{name}");
            let timed_name = full.clone();
            let run = move || timed(&timed_name, || story(guest)).map_err(|error| Failed::from(format!("{error:#}")));
            let trial = Trial::test(full, run);
            trials.push(trial.with_kind(&why_not).with_ignored_flag(!why_not.is_empty()));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    print_longest();
    conclusion.exit_code()
}
