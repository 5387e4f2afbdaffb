//! The harness: every test is listed; without root, or without the static binary, each is ignored by name.
//!
//! `cargo xtask test` builds the binary and sets `FIRSTROOT_PREPARE_ROOT` to its path.

mod android;
mod attempts;
mod bad_input;
mod beside_the_peer;
mod boot;
mod choice;
mod composefs;
mod console;
mod failing;
mod generators;
mod init;
mod pid1;
mod reading;
mod recovery;
mod signed;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use libtest_mimic::{Arguments, Failed, Trial};
use namespace_tests::{Initramfs, inside};
use qemu_tests::guest::Guest;
use qemu_tests::rootfs;
use qemu_tests::stopwatch::{print_longest, timed};

/// A story that is told inside an initramfs.
type Story = fn(&mut Initramfs) -> anyhow::Result<()>;

/// The static binary under test; `None`: `cargo test` alone.
fn binary() -> Option<PathBuf> {
    std::env::var_os("FIRSTROOT_PREPARE_ROOT").map(PathBuf::from)
}

fn trial(group: &str, name: &str, run: impl FnOnce() -> anyhow::Result<()> + Send + 'static) -> Trial {
    let full = format!("{group}::{name}");
    let timed_name = full.clone();
    let run = move || timed(&timed_name, run).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(full, run)
        .with_kind("needs root and the static binary: cargo xtask test")
        .with_ignored_flag(binary().is_none())
}

fn told_inside(story: Story) -> anyhow::Result<()> {
    inside(&binary().context("FIRSTROOT_PREPARE_ROOT is not set")?, None, story)
}

/// Every function of a module as a test of the same name, told inside an initramfs.
macro_rules! stories {
    ($group:ident: $($name:ident),* $(,)?) => {
        vec![$(trial(stringify!($group), stringify!($name), || told_inside($group::$name))),*]
    };
}

/// The same for functions that make as many as they need.
macro_rules! series {
    ($group:ident: $($name:ident),* $(,)?) => {
        vec![$(trial(stringify!($group), stringify!($name), $group::$name)),*]
    };
}

/// The same told on a disk that a guest's `ostree` has deployed on, with a composefs image.
macro_rules! images {
    ($group:ident: $($name:ident),* $(,)?) => {
        of_guest(Guest::Forky, vec![$(trial(stringify!($group), stringify!($name), || composefs::told($group::$name))),*])
    };
}

/// Why a guest's `ostree` cannot be used now; `None`: it can.
fn missing(guest: Guest) -> Option<String> {
    let wanted = binary().is_some() && std::env::var_os("FIRSTROOT_PEERS").is_some();
    if wanted { rootfs::why_not_installable(guest) } else { Some("cargo xtask test".to_owned()) }
}

/// Tests that need a guest's `ostree`: without it each is ignored, with the reason.
fn of_guest(guest: Guest, trials: Vec<Trial>) -> Vec<Trial> {
    let missing = missing(guest);
    let kind = missing.as_ref().map_or_else(String::new, |reason| format!("needs root and the peer: {reason}"));
    let ignored = missing.is_some();
    trials.into_iter().map(|trial| trial.with_ignored_flag(ignored).with_kind(kind.clone())).collect()
}

fn main() -> ExitCode {
    // One at a time: a fork in one thread holds what another thread is writing open until it executes, and a filesystem
    // with a file open for writing cannot become read-only.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let tests = [
        stories!(boot:
            a_plain_deployment_becomes_the_root,
            nothing_but_the_new_root_is_left,
            a_second_run_says_that_it_is_prepared_already,
            a_run_for_another_deployment_is_no_success,
            a_system_that_runs_is_left_alone,
            modes_do_not_depend_on_the_umask,
            a_script_reads_what_the_target_is,
            links_in_place_of_boot_and_var_are_followed_inside,
            a_link_in_place_of_var_is_followed_inside_a_read_only_sysroot,
            sysroot_is_read_only_when_the_configuration_says_so,
            sysroot_is_read_only_when_the_repository_says_so,
            an_explicit_false_still_asks_the_repository,
            etc_is_transient,
            etc_is_transient_with_a_read_only_sysroot,
            a_hotfix_is_writable,
            a_hotfix_on_a_read_only_disk_is_readable,
            the_marker_file_mounts_var,
            without_systemd_var_and_boot_are_mounted,
            the_deployments_systemd_mounts_var,
            boot_is_left_to_the_generator_when_told,
            boot_is_writable_when_told,
            a_separate_boot_is_left_alone,
            android_slots_are_followed,
            absolute_links_stay_inside_the_physical_root,
            the_administrators_file_replaces_the_distributions,
            drop_ins_count_for_our_keys,
            a_link_to_dev_null_switches_a_file_off,
            a_plan_changes_nothing,
            a_plan_of_a_running_system_is_that_of_its_disk,
            check_config_says_what_would_stop_a_boot,
            a_typing_mistake_is_a_warning,
            the_run_directory_may_exist,
        ),
        stories!(bad_input:
            each_bad_command_line_is_a_clear_error,
            a_sysroot_that_is_the_root_is_refused,
            a_deployment_of_another_name_is_told,
            each_bad_link_is_a_clear_error,
            a_long_command_line_is_read_to_its_end,
            each_incomplete_deployment_is_a_clear_error,
            each_bad_configuration_is_a_clear_error,
            a_hotfix_without_its_upper_is_a_clear_error,
            without_var_there_is_a_warning_or_an_error,
            run_that_cannot_be_written_is_a_clear_error,
            a_disk_that_is_not_there_is_blamed_on_the_disk,
            another_filesystem_is_blamed_on_the_disk,
            a_kernel_without_overlay_is_told,
            a_hotfix_on_a_kernel_without_overlay_is_given_up,
            composefs_that_is_demanded_stops,
            whether_systemd_is_there_is_not_guessed,
            a_wrong_call_has_a_status_of_its_own,
        ),
        stories!(choice:
            each_short_form_boots_the_deployment,
            entries_decide_the_numbers,
            what_several_have_is_refused,
            what_none_has_is_refused_with_a_list,
            another_stateroot_is_refused,
            no_boot_link_is_needed,
            one_that_is_gone_leads_to_the_first_with_the_same_kernel,
            another_deployment_is_no_success_of_a_second_run,
            a_unit_accepts_what_a_person_has_prepared,
            a_whole_name_is_enough_on_a_disk_that_fails,
            a_plan_is_that_of_the_choice,
            verify_takes_the_same_words,
        ),
        images!(choice: a_signature_is_demanded_of_what_is_chosen),
        stories!(attempts:
            an_update_is_tried_as_often_as_it_may_be_and_then_the_older_one_boots,
            with_another_kernel_the_list_of_the_older_one_becomes_the_active_one,
            a_list_that_was_made_for_another_one_is_not_used,
            without_an_older_one_the_update_boots_once_more,
            a_root_that_is_mounted_read_only_is_so_again,
            what_cannot_be_written_or_read_boots_and_is_not_counted,
            an_attempt_that_fails_here_is_one,
            only_what_is_counted_reboots,
            a_configuration_that_stops_the_boot_is_an_attempt,
            what_a_person_or_an_esp_chooses_is_not_counted,
            a_boot_counts_once,
            an_attempt_costs_one_write_and_one_sync,
            without_the_setting_nothing_is_looked_up,
        ),
        stories!(console:
            a_report_shows_names_and_does_not_obey_them,
            a_plan_shows_names_and_does_not_obey_them,
            what_cannot_be_printed_is_told,
        ),
        images!(composefs:
            the_tree_of_the_image_is_read,
            a_transient_root_is_for_everybody_and_forgotten,
            what_will_be_lost_is_told_in_one_line,
            a_second_run_says_that_an_image_is_prepared_already,
            a_plan_of_an_image_changes_nothing,
            what_is_no_image_is_a_clear_error,
            an_image_on_another_filesystem_is_mounted_by_a_loop_device,
            a_link_on_the_disk_does_not_lead_into_the_image,
            access_control_lists_in_the_image_count,
            a_disk_that_was_linked_before_is_not_kept,
            no_loop_device_is_taken_where_none_is_needed,
            a_root_that_nothing_can_be_stacked_on_is_made_by_a_loop_device,
            what_older_kernels_need_is_tried,
        ),
        of_guest(
            Guest::Forky,
            series!(composefs:
                without_an_initramfs_the_root_is_the_image_too,
                without_an_initramfs_a_signature_vouches_for_nothing,
            ),
        ),
        of_guest(
            Guest::Forky,
            series!(failing:
                killed_with_an_image_a_second_run_succeeds,
                killed_late_with_an_image_and_then_failing_nothing_is_left,
                whatever_call_fails_with_an_image_the_physical_root_is_where_it_was,
            ),
        ),
        images!(signed:
            a_signature_by_one_of_the_keys_is_needed,
            configuration_and_keys_on_the_disk_count_for_nothing,
            no_damage_passes_for_a_signature,
            a_deployment_that_is_renamed_is_another_commits,
            the_command_line_weakens_only_what_it_may,
        ),
        images!(verify:
            what_is_whole_is_good_and_nothing_is_touched,
            every_deployment_is_looked_at_and_the_worst_counts,
            an_object_that_is_not_what_it_was_is_named,
            what_is_no_image_is_bad,
            what_would_not_boot_is_bad_whatever_the_image_is,
            objects_are_looked_up_as_the_kernel_does,
            what_was_not_looked_at_or_not_said_is_not_good,
            nothing_makes_a_demand_weaker,
            a_signature_that_is_demanded_is_looked_for,
            what_cannot_be_told_here_is_said,
        ),
        of_guest(Guest::Forky, series!(signed: the_parent_of_a_containers_commit_may_be_the_signed_one)),
        of_guest(
            Guest::Forky,
            series!(verify:
                seals_that_cannot_be_seen_are_not_taken_for_broken_ones,
                names_on_a_disk_do_not_talk_to_the_terminal,
            ),
        ),
        series!(failing:
            killed_at_any_system_call_a_second_run_succeeds,
            killed_late_and_then_failing_nothing_is_left,
            whatever_call_fails_the_physical_root_is_where_it_was,
        ),
        stories!(failing:
            the_report_says_what_there_is,
        ),
        stories!(init:
            links_of_init_are_followed_in_the_new_root,
            what_init_needs_first_is_read_too,
            a_disk_that_fails_at_init_is_told,
            init_of_the_command_line_counts,
            systemd_counts_before_sbin_init,
            a_root_without_any_init_stops,
        ),
        images!(init: an_image_of_which_no_file_can_be_read_stops),
        stories!(android:
            a_slot_whose_boot_link_is_missing_boots,
            without_a_link_of_the_slot_ostree_counts,
            a_slot_is_repaired_by_what_the_report_says,
        ),
        series!(reading:
            no_error_passes_for_absence,
            no_error_hides_the_deployments_systemd,
            no_error_makes_another_deployment_the_one_that_was_meant,
            a_report_does_not_take_an_error_for_absence,
        ),
        series!(generators: a_group_may_be_repeated),
        stories!(generators:
            a_script_asks_until_it_boots,
            a_script_goes_on_with_what_was_booted_by_hand,
            a_script_leaves_other_systems_alone,
        ),
        stories!(recovery:
            the_only_deployment_with_that_kernel_is_booted,
            of_two_with_one_commit_the_other_link_decides,
            of_two_commits_none_is_guessed,
            a_candidate_that_cannot_be_read_is_not_passed_over,
            a_staged_deployment_is_no_candidate,
            a_dangling_link_among_device_trees_is_passed_over,
            a_kernel_that_no_deployment_has_is_an_error,
            it_can_be_switched_off,
            the_disk_is_not_written_to,
        ),
        stories!(pid1:
            the_deployments_init_is_executed,
            what_only_looks_executes_nothing,
            an_init_that_cannot_be_executed_is_told_before_anything_is_done,
            an_init_without_its_interpreter_is_told,
            the_same_features_as_in_an_initramfs,
            a_root_without_dev_and_console_boots,
            a_failure_is_told_and_ends,
        ),
    ];
    let tests = tests.into_iter().flatten().chain(beside_the_peer::trials()).collect();
    let conclusion = libtest_mimic::run(&arguments, tests);
    print_longest();
    conclusion.exit_code()
}
