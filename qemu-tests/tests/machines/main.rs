//! Whole machines: each test is listed, and ignored by name where it cannot run.
//!
//! `cargo xtask test` sets `FIRSTROOT_MACHINES`; a machine's console log and report stay in `target/qemu-tests/runs`.
//! Those of [`NOT_EACH_TIME`] run with `cargo xtask test --all`.

mod beside_the_peer;
mod composefs;
mod counted;
mod esp;
mod esp_further;
mod esp_refind;
mod esp_xbootldr;
mod failing;
mod initramfs_tools;
mod interrupted;
mod old_kernel;
mod only_ours;
mod packaged;
mod selinux;
mod shutdown;
mod soft_reboot;
mod ways_to_fail;
mod without_libostree;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use qemu_tests::cache::directory_of_this_checkout;
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::rootfs::why_not_installable;
use qemu_tests::stopwatch::{print_longest, timed};
use qemu_tests::{catalogue, host, side_by_side};

/// What a test does with one guest.
type Story = fn(Guest) -> Result<()>;

/// Machines that not every run has, each with the one that is nearest to it, which every run has. Most differ from that one in the
/// guest, the disk or one setting. Some show a thing of their own that `namespace-tests` shows, too.
///
/// A boot takes half a minute, and a machine two or three boots: all of them take longer than everything else together.
const NOT_EACH_TIME: &[(&str, &str)] = &[
    (
        "trixie::esp::with_secure_boot_an_image_is_booted_and_updated",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "trixie::ways_to_fail::the_machine_is_back_after_each_of_them",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "trixie::esp::with_its_own_loader_an_update_is_blessed_and_another_one_rolled_back",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "forky::esp::with_its_own_loader_an_update_is_blessed_and_another_one_rolled_back",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "trixie::esp_further::further_esps_get_what_has_come_up",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "trixie::esp_refind::refind_starts_the_loader_that_counts",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "trixie::esp_xbootldr::entries_move_beside_the_esp_and_count_there",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    (
        "trixie::esp::installed_beside_another_loader",
        "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    ),
    ("trixie::beside_the_peer::ext4", "trixie::beside_the_peer::a_hotfix_survives_a_reboot"),
    ("forky::beside_the_peer::ext4", "trixie::beside_the_peer::a_hotfix_survives_a_reboot"),
    ("trixie::beside_the_peer::kinoite", "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root"),
    ("forky::beside_the_peer::kinoite", "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root"),
    ("trixie::beside_the_peer::xfs", "trixie::beside_the_peer::a_hotfix_survives_a_reboot"),
    (
        "trixie::beside_the_peer::sysroot_readonly_by_the_repository",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "forky::beside_the_peer::sysroot_readonly_by_the_repository",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "trixie::beside_the_peer::sysroot_readonly_by_the_configuration",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    ("trixie::beside_the_peer::transient_etc", "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root"),
    ("forky::beside_the_peer::transient_etc", "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root"),
    ("forky::composefs::root_and_etc_are_transient", "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root"),
    ("forky::beside_the_peer::a_hotfix_survives_a_reboot", "trixie::beside_the_peer::a_hotfix_survives_a_reboot"),
    (
        "trixie::beside_the_peer::a_script_in_an_initramfs_without_systemd",
        "trixie-initramfs-tools::initramfs_tools::a_missing_deployment_is_explained_and_repaired_at_the_prompt",
    ),
    (
        "trixie::only_ours::a_hook_does_the_same_without_systemd",
        "trixie-initramfs-tools::initramfs_tools::a_missing_deployment_is_explained_and_repaired_at_the_prompt",
    ),
    (
        "trixie::only_ours::boot_is_not_mounted_when_told",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "forky::only_ours::a_second_mount_of_boot_is_harmless",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "trixie::only_ours::without_an_initramfs_the_same_is_mounted",
        "trixie::only_ours::a_read_only_root_without_proc_dev_and_run_boots_without_initramfs",
    ),
    (
        "forky::only_ours::without_an_initramfs_the_same_is_mounted",
        "trixie::only_ours::a_read_only_root_without_proc_dev_and_run_boots_without_initramfs",
    ),
    (
        "forky::only_ours::links_out_of_step_boot_and_can_be_repaired",
        "trixie::failing::a_missing_link_is_explained_and_a_number_boots",
    ),
    (
        "trixie::only_ours::links_out_of_step_boot_and_can_be_repaired",
        "trixie::failing::a_missing_link_is_explained_and_a_number_boots",
    ),
    (
        "forky::shutdown::an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree",
        "trixie::shutdown::an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree",
    ),
    (
        "trixie::shutdown::a_separate_boot_is_prepared_before_shutdown",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "forky::shutdown::a_separate_boot_is_prepared_before_shutdown",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "trixie::interrupted::a_slow_disk_is_waited_for_beyond_the_limit",
        "trixie::shutdown::an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree",
    ),
    (
        "forky::composefs::an_image_is_the_root_without_an_initramfs",
        "trixie::only_ours::a_read_only_root_without_proc_dev_and_run_boots_without_initramfs",
    ),
    (
        "forky::composefs::an_image_on_a_loop_device_is_the_root",
        "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root",
    ),
    (
        "forky::composefs::an_image_of_an_older_signed_commit_is_refused",
        "forky::composefs::what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read",
    ),
    (
        "forky::packaged::an_rpm_boots_and_is_removed_by_an_update",
        "trixie::packaged::a_deb_boots_and_is_removed_by_an_update",
    ),
    (
        "bookworm::old_kernel::without_its_image_the_deployment_boots",
        "bookworm::old_kernel::an_image_that_it_cannot_mount_is_refused_by_name",
    ),
    (
        "trixie::failing::whoever_asked_for_a_shell_gets_one",
        "trixie::failing::a_missing_deployment_is_explained_and_repaired_in_the_emergency_shell",
    ),
    (
        "trixie::shutdown::a_read_only_boot_is_written_to",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "trixie::interrupted::what_is_killed_is_reported_at_the_next_boot",
        "trixie::interrupted::a_power_cut_is_reported_and_the_update_done_again",
    ),
    (
        "trixie::shutdown::a_locked_deployment_waits_until_it_is_unlocked",
        "trixie::shutdown::an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree",
    ),
    (
        "trixie::interrupted::a_boot_without_room_is_reported_before_shutdown_and_after",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "trixie::shutdown::a_boot_that_is_nearly_full_makes_room",
        "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
    ),
    (
        "forky::composefs::an_image_that_was_changed_below_its_seal_is_refused",
        "forky::composefs::what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read",
    ),
    ("forky::composefs::an_image_is_the_root", "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root"),
    (
        "forky::composefs::an_image_on_btrfs_is_the_root",
        "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root",
    ),
    (
        "forky::composefs::sealed_objects_are_demanded",
        "forky::composefs::what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read",
    ),
    (
        "forky::composefs::a_signature_of_somebody_else_is_refused",
        "forky::composefs::what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read",
    ),
    (
        "forky::soft_reboot::a_separate_boot_is_mounted_again",
        "forky::soft_reboot::what_is_booted_and_what_is_finalized_comes_up",
    ),
    (
        "forky::soft_reboot::what_is_booted_and_what_is_finalized_comes_up_as_after_the_peer",
        "forky::soft_reboot::what_is_booted_and_what_is_finalized_comes_up",
    ),
    (
        "trixie-initramfs-tools::initramfs_tools::the_same_is_mounted_as_with_dracut",
        "trixie-initramfs-tools::initramfs_tools::a_missing_deployment_is_explained_and_repaired_at_the_prompt",
    ),
    ("forky-selinux::selinux::untouched", "forky-selinux::selinux::modified"),
    (
        "forky::failing::a_missing_deployment_is_explained_and_repaired_in_the_emergency_shell",
        "trixie::failing::a_missing_deployment_is_explained_and_repaired_in_the_emergency_shell",
    ),
    (
        "trixie::failing::a_machine_without_a_keyboard_powers_off",
        "trixie::failing::a_machine_without_a_keyboard_reboots",
    ),
    (
        "trixie::counted::with_extlinux_an_update_that_does_not_come_up_is_rolled_back",
        "trixie::counted::an_update_that_does_not_come_up_is_rolled_back_by_the_initramfs",
    ),
    (
        "trixie::counted::an_update_whose_kernel_panics_is_rolled_back",
        "trixie::counted::an_update_that_does_not_come_up_is_rolled_back_by_the_initramfs",
    ),
];

/// What of every run takes longer than two minutes, the longest one first. They begin: at the end, none runs alone for long.
const LONGEST: &[&str] = &[
    "forky-selinux::selinux::modified",
    "trixie::counted::an_update_that_does_not_come_up_is_rolled_back_by_the_initramfs",
    "trixie::esp::an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back",
    "forky::composefs::what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read",
    "forky::composefs::an_image_on_a_btrfs_of_two_disks_is_the_root",
    "trixie::shutdown::an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree",
    "trixie::beside_the_peer::a_hotfix_survives_a_reboot",
    "trixie::interrupted::a_power_cut_is_reported_and_the_update_done_again",
    "forky::soft_reboot::what_is_booted_and_what_is_finalized_comes_up",
    "trixie::packaged::a_deb_boots_and_is_removed_by_an_update",
    "trixie::shutdown::an_automounted_boot_and_a_read_only_sysroot_are_written_to",
];

/// Every function of a module as a test of the same name, on each of the guests.
macro_rules! stories {
    ($group:ident on $guests:expr => $($name:ident),* $(,)?) => {
        $guests.iter().flat_map(|guest| [$((*guest, concat!(stringify!($group), "::", stringify!($name)), $group::$name as Story)),*])
    };
}

fn main() -> ExitCode {
    let wanted = std::env::var_os("FIRSTROOT_MACHINES").is_some();
    let mut arguments = Arguments::from_args();
    side_by_side::expect(*arguments.test_threads.get_or_insert(side_by_side::how_many()));
    if wanted
        && !arguments.list
        && let Err(error) = host::ensure_ready()
    {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    let both = Guest::booted();
    let bookworm = [Guest::Bookworm];
    let trixie = [Guest::Trixie];
    let with_initramfs_tools = [Guest::TrixieInitramfsTools];
    let forky = [Guest::Forky];
    let selinux = [Guest::ForkySelinux];
    let stories = stories!(selinux on selinux => modified, untouched)
        .chain(stories!(soft_reboot on forky =>
            what_is_booted_and_what_is_finalized_comes_up,
            what_is_booted_and_what_is_finalized_comes_up_as_after_the_peer,
            a_separate_boot_is_mounted_again,
        ))
        .chain(stories!(beside_the_peer on both =>
            ext4,
            kinoite,
            sysroot_readonly_by_the_repository,
            transient_etc,
            a_hotfix_survives_a_reboot,
        ))
        .chain(stories!(beside_the_peer on trixie =>
            xfs,
            sysroot_readonly_by_the_configuration,
            a_script_in_an_initramfs_without_systemd,
        ))
        .chain(stories!(only_ours on trixie =>
            boot_is_not_mounted_when_told,
            a_hook_does_the_same_without_systemd,
            without_an_initramfs_the_same_is_mounted,
            a_read_only_root_without_proc_dev_and_run_boots_without_initramfs,
            links_out_of_step_boot_and_can_be_repaired,
        ))
        .chain(stories!(only_ours on forky =>
            a_second_mount_of_boot_is_harmless,
            without_an_initramfs_the_same_is_mounted,
            links_out_of_step_boot_and_can_be_repaired,
        ))
        .chain(stories!(shutdown on both =>
            an_update_is_staged_finalized_booted_rolled_back_and_left_to_ostree,
            a_separate_boot_is_prepared_before_shutdown,
        ))
        .chain(stories!(shutdown on trixie =>
            an_automounted_boot_and_a_read_only_sysroot_are_written_to,
            a_read_only_boot_is_written_to,
            a_boot_that_is_nearly_full_makes_room,
            a_locked_deployment_waits_until_it_is_unlocked,
        ))
        .chain(stories!(interrupted on trixie =>
            a_slow_disk_is_waited_for_beyond_the_limit,
            what_is_killed_is_reported_at_the_next_boot,
            a_power_cut_is_reported_and_the_update_done_again,
            a_boot_without_room_is_reported_before_shutdown_and_after,
        ))
        .chain(stories!(composefs on forky =>
            an_image_is_the_root,
            an_image_is_the_root_without_an_initramfs,
            an_image_on_btrfs_is_the_root,
            an_image_on_a_btrfs_of_two_disks_is_the_root,
            an_image_on_a_loop_device_is_the_root,
            root_and_etc_are_transient,
            sealed_objects_are_demanded,
            what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read,
            a_signature_of_somebody_else_is_refused,
            an_image_of_an_older_signed_commit_is_refused,
            an_image_that_was_changed_below_its_seal_is_refused,
            images_of_a_fuzzer_are_booted_or_refused,
        ))
        .chain(stories!(esp_further on trixie => further_esps_get_what_has_come_up))
        .chain(stories!(esp_refind on trixie => refind_starts_the_loader_that_counts))
        .chain(stories!(esp_xbootldr on trixie => entries_move_beside_the_esp_and_count_there))
        .chain(stories!(esp on trixie =>
            an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back,
            with_its_own_loader_an_update_is_blessed_and_another_one_rolled_back,
            installed_beside_another_loader,
            with_secure_boot_an_image_is_booted_and_updated,
        ))
        .chain(stories!(esp on forky => with_its_own_loader_an_update_is_blessed_and_another_one_rolled_back))
        .chain(stories!(ways_to_fail on trixie => the_machine_is_back_after_each_of_them))
        .chain(stories!(counted on trixie =>
            an_update_that_does_not_come_up_is_rolled_back_by_the_initramfs,
            with_extlinux_an_update_that_does_not_come_up_is_rolled_back,
            an_update_whose_kernel_panics_is_rolled_back,
        ))
        .chain(stories!(packaged on trixie => a_deb_boots_and_is_removed_by_an_update))
        .chain(stories!(packaged on forky => an_rpm_boots_and_is_removed_by_an_update))
        .chain(stories!(without_libostree on forky => nothing_on_the_boot_path_needs_it))
        .chain(stories!(initramfs_tools on with_initramfs_tools =>
            a_missing_deployment_is_explained_and_repaired_at_the_prompt,
            the_same_is_mounted_as_with_dracut,
        ))
        .chain(stories!(old_kernel on bookworm =>
            an_image_that_it_cannot_mount_is_refused_by_name,
            without_its_image_the_deployment_boots,
        ))
        .chain(stories!(failing on both =>
            a_missing_deployment_is_explained_and_repaired_in_the_emergency_shell,
        ))
        .chain(stories!(failing on trixie =>
            a_missing_link_is_explained_and_a_number_boots,
            a_machine_without_a_keyboard_reboots,
            a_machine_without_a_keyboard_powers_off,
            whoever_asked_for_a_shell_gets_one,
        ));
    let missing = if wanted { why_not_installable(Guest::Forky) } else { None };
    let mut trials: Vec<Trial> = stories
        .map(|(guest, name, story)| {
            let full = format!("{guest}::{name}");
            let why_not = why_not(guest, &full, wanted, missing.as_deref());
            trial(guest, full, story, why_not)
        })
        .collect();
    for (again, first) in NOT_EACH_TIME {
        let known = |name: &str| trials.iter().any(|trial| trial.name() == name);
        assert!(known(again) && known(first), "no such machine: {again} or {first}");
        assert!(NOT_EACH_TIME.iter().all(|(again, _)| again != first), "{first} does not run, either");
    }
    for name in LONGEST {
        assert!(trials.iter().any(|trial| trial.name() == *name), "no such machine: {name}");
        assert!(NOT_EACH_TIME.iter().all(|(again, _)| again != name), "{name} is among the longest, and does not run");
    }
    trials.sort_by_key(|trial| LONGEST.iter().position(|name| trial.name() == *name).unwrap_or(LONGEST.len()));
    let conclusion = libtest_mimic::run(&arguments, trials);
    print_longest();
    conclusion.exit_code()
}

/// Whether those of [`NOT_EACH_TIME`] run, too, and stories are told in full.
fn all_are_wanted() -> bool {
    std::env::var_os("FIRSTROOT_ALL_MACHINES").is_some()
}

/// Why `guest`'s test `name` does not run here; empty if it does.
fn why_not(guest: Guest, name: &str, wanted: bool, missing: Option<&str>) -> String {
    if !wanted {
        return "needs root and QEMU: cargo xtask test".to_owned();
    }
    // On Debian 12 the newest guest's ostree deploys.
    if let Some(missing) = missing.filter(|_| guest.moves() || guest == Guest::Bookworm) {
        return missing.to_owned();
    }
    // It has packages that the other one of its release has not.
    if let Some(missing) = Some(guest).filter(|guest| guest.has_selinux()).and_then(why_not_installable) {
        return missing;
    }
    match NOT_EACH_TIME.iter().find(|(again, _)| *again == name) {
        Some((_, first)) if !all_are_wanted() => format!("only with cargo xtask test --all; nearest to it is {first}"),
        _ => String::new(),
    }
}

fn trial(guest: Guest, name: String, story: Story, why_not: String) -> Trial {
    let full = name.clone();
    let run = move || {
        timed(&full, || host::in_a_mount_namespace(|| story(guest))).map_err(|error| {
            let logs = directory_of_this_checkout("runs");
            let logs =
                logs.map_or_else(|_| String::new(), |logs| format!("\nconsole logs and reports: {}", logs.display()));
            Failed::from(format!("{error:#}{logs}"))
        })
    };
    let ignored = !why_not.is_empty();
    Trial::test(name, run).with_kind(why_not).with_ignored_flag(ignored)
}

/// The scenario `name` on `guest`.
fn scenario(guest: Guest, name: &str) -> Result<qemu_tests::scenario::Scenario> {
    catalogue::scenario(&format!("{guest}:{name}"))
}

/// Fails unless the machine reached its default target with no unit failed, and `ostree` knows what it booted.
fn is_well(report: &Report) -> Result<()> {
    let (state, failed, status) = (report.system_state()?, report.failed_units()?, report.admin_status()?);
    ensure!(state == "running" && failed.is_empty(), "the system is {state}; failed units:\n{failed}");
    ensure!(
        status.lines().any(|line| line.starts_with("* default ")),
        "ostree does not know what it booted:\n{status}"
    );
    Ok(())
}

/// Fails unless `text` has `part`.
fn contains(text: &str, part: &str) -> Result<()> {
    ensure!(text.contains(part), "no {part:?} in:\n{text}");
    Ok(())
}
