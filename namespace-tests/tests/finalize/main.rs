//! Finalization, on disks that the peer has installed and staged an update on: every test is listed; without root, or without
//! the static binary where a test needs it, each is ignored by name.
//!
//! `cargo xtask test` builds the binary and sets `FIRSTROOT_FINALIZE_STAGED` to its path, and `FIRSTROOT_PEERS`, without which
//! nobody downloads a guest. `FIRSTROOT_PEER_TWICE` tells every story with the peer alone: for who writes one.

mod attempts;
mod bad_input;
mod beside_the_peer;
mod boot_of_others;
mod boot_room;
mod command;
mod deep;
mod device_trees;
mod differences;
mod etc_words;
mod fixture;
mod grub;
mod leases;
mod link_attributes;
mod next_boot;
mod old_deployments;
mod ours;
mod pause;
mod prepare;
mod progress;
mod reading_errors;
mod renames;
mod restart;
mod sabotage;
mod scenario;
mod scenarios;
mod selinux;
mod staged_etc;
mod unit_drop_ins;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};
use namespace_tests::every_call_is_wanted;
use namespace_tests::finalize::Contestant;
use qemu_tests::guest::Guest;
use qemu_tests::rootfs;
use qemu_tests::stopwatch::{print_longest, timed};

use scenario::Scenario;

/// Why nothing can be done with this guest here; nothing: it can.
fn why_not(guest: Guest) -> Option<String> {
    // Guests are not downloaded unasked.
    match std::env::var_os("FIRSTROOT_PEERS") {
        Some(_) => rootfs::why_not_installable(guest),
        None => Some("needs root and a guest: cargo xtask test".to_owned()),
    }
}

fn trial(name: String, missing: Option<&str>, run: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let timed_name = name.clone();
    let run = move || timed(&timed_name, run).map_err(|error| Failed::from(format!("{error:#}")));
    Trial::test(name, run).with_kind(missing.unwrap_or_default()).with_ignored_flag(missing.is_some())
}

/// Functions as tests of the same name.
macro_rules! with_guest {
    ($guest:expr, $missing:expr, $group:ident: $($name:ident),* $(,)?) => {
        vec![$({
            let name = format!("{}::{}_with_{}", stringify!($group), stringify!($name), $guest);
            trial(name, $missing, move || $group::$name($guest))
        }),*]
    };
}

fn of_guest(guest: Guest, scenarios: &[Scenario]) -> Vec<Trial> {
    let missing = why_not(guest);
    let missing = missing.as_deref();
    let no_binary = (!Contestant::Ours.is_there()).then_some("needs the static binary: cargo xtask test");
    let mut trials = with_guest!(guest, missing, fixture:
        the_booted_system_is_one_to_ostree,
        what_is_staged_is_still_staged_in_a_copy,
        the_peer_finalizes_and_the_new_system_boots,
        the_journal_is_heard,
        a_program_can_be_made_to_fail,
        a_frozen_filesystem_is_noticed,
        every_filesystem_works,
    );
    trials.extend(with_guest!(guest, missing.or(no_binary), ours:
        the_new_system_boots_with_the_machines_etc,
        the_peer_takes_it_for_its_own,
        a_locked_deployment_waits,
        a_lock_in_the_staged_file_counts,
        a_damaged_kernel_in_boot_is_repaired,
        a_plan_says_what_will_be_done_and_changes_nothing,
        files_that_vanish_and_change_during_the_merge_do_no_harm,
        what_is_not_ours_is_left_to_ostree,
        a_deployment_of_a_container_image_is_one_like_others,
        what_cannot_be_removed_is_removed_next_time,
        on_xfs_the_directory_of_kernels_does_not_move,
    ));
    trials.extend(with_guest!(guest, missing.or(no_binary), words:
        structured_messages_are_libostrees,
        the_reason_of_a_failure_is_a_line_of_its_own,
    ));
    trials.extend(with_guest!(guest, missing.or(no_binary), prepare:
        what_is_prepared_is_only_renamed,
        what_was_prepared_and_damaged_is_not_booted,
        preparing_and_finalizing_at_the_same_time_do_not_disturb_each_other,
    ));
    trials.extend(with_guest!(guest, missing.or(no_binary), etc_words:
        special_files_are_told_in_the_peers_words,
        an_empty_staged_file_is_nothing_staged,
    ));
    trials.extend(with_guest!(guest, missing.or(no_binary), selinux:
        new_files_get_the_labels_of_the_new_policy,
        a_policy_with_changes_is_built_before_shutdown,
        a_policy_that_cannot_be_built_never_costs_the_update,
        a_tree_without_semodule_is_finalized,
    ));
    trials.extend(with_guest!(guest, missing.or(no_binary), link_attributes:
        attributes_of_links_are_carried_over_as_the_peer_does,
    ));
    trials.extend(with_guest!(guest, missing.or(no_binary), next_boot:
        an_interruption_is_reported_at_the_next_boot,
        a_stamp_of_what_is_booted_is_no_failure,
        a_soft_reboot_is_finished_beside_a_stamp,
        who_holds_boot_ends_by_the_first_signal,
    ));
    // Facts about libostree, whose newest version counts.
    if guest == Guest::Forky {
        trials.extend(with_guest!(guest, missing.or(no_binary), device_trees:
            device_trees_with_links_are_those_of_the_peer,
            a_copy_of_device_trees_with_links_is_not_damaged,
            device_trees_are_as_many_and_as_deep_as_they_are,
            the_peer_deploys_no_device_trees_with_a_loop,
            of_several_kernels_the_one_that_was_staged_is_installed,
        ));
    }
    trials.extend(with_guest!(guest, missing.or(no_binary), unit_drop_ins:
        commands_of_others_stay,
        preparing_tells_of_a_drop_in_that_resets_another,
    ));
    let no_command = command::binary().is_none().then_some("needs the static binary: cargo xtask test");
    trials.extend(with_guest!(guest, missing.or(no_command), attempts:
        an_update_that_does_not_come_up_is_rolled_back,
        with_the_same_kernel_the_older_one_is_booted_at_once,
        with_a_separate_boot_that_is_mounted_for_the_exchange,
        what_is_not_counted,
        an_update_that_was_rolled_back_is_refused_if_asked,
        a_file_of_the_boot_loader_begins_with_the_older_one,
        a_grub_that_reads_entries_keeps_its_script,
        a_menu_of_grub_boots_the_older_one,
        other_arguments_stay_those_of_the_update,
        the_default_is_on_trial_whenever_a_finalization_is_killed,
        a_second_run_writes_nothing,
        killed_at_any_call_no_list_is_named_that_is_not_whole,
        damaged_files_are_written_anew,
    ));
    trials.extend(with_guest!(guest, missing.or(no_command), command:
        a_system_that_is_whole_comes_up,
        an_initramfs_is_looked_into,
        an_image_that_the_esp_boots_is_looked_into,
    ));
    // What is ours alone is the same with each guest.
    if guest == Guest::Trixie {
        trials.extend(with_guest!(guest, missing.or(no_command), command:
            what_is_staged_is_shown_and_checked,
            no_damage_passes_for_a_yes,
            without_root_or_without_ostree_it_says_so,
            etc_is_compared_and_restored,
            etc_on_an_overlay_is_the_etc_that_services_see,
            boot_links_are_repaired_for_every_entry,
            boot_links_are_not_guessed,
            a_repair_killed_at_any_call_is_done_again,
        ));
    }
    if guest == Guest::Trixie {
        trials.extend(with_guest!(guest, missing.or(no_binary), prepare:
            what_is_known_to_be_good_is_not_read_again,
            a_damaged_kernel_of_what_stays_is_told,
            a_staged_kernel_that_has_changed_is_refused,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), progress:
            another_disk_at_work_is_no_progress,
            warnings_of_a_preparation_are_in_the_status_of_its_unit,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), old_deployments:
            what_is_replaced_is_removed_after_the_next_boot,
            append_only_and_immutable_files_go_with_it,
            libostree_removes_it_as_well,
            what_is_in_use_is_never_removed,
            where_the_disk_is_nearly_full_it_is_removed_at_once,
            what_was_left_a_boot_ago_is_removed_at_shutdown,
            killed_at_any_call_the_next_run_goes_on,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), boot_room:
            what_fits_when_an_old_kernel_has_gone_is_left_to_shutdown,
            what_never_fits_is_refused_and_the_old_deployment_stays,
            what_turns_out_not_to_fit_is_taken_back_and_fits_in_two_steps,
            a_prepared_kernel_is_no_obstacle,
            two_steps_can_be_forbidden,
            a_boot_that_is_not_mounted_is_called_that,
            killed_in_either_step_it_is_finished_by_a_second_run,
        ));
    }
    if guest == Guest::Trixie {
        trials.extend(with_guest!(guest, missing.or(no_binary), bad_input:
            a_staged_file_that_is_damaged,
            a_staged_deployment_that_is_not_there,
            an_esp_that_is_not_there,
            what_was_rolled_back_is_refused_until_it_is_forgotten,
            a_unified_kernel_that_would_not_boot,
            an_image_beside_a_kernel_that_would_not_boot,
            a_name_that_leads_elsewhere,
            a_loader_link_that_is_none,
            entries_of_others_are_kept,
            an_entry_of_ours_that_cannot_be_read,
            an_entry_whose_deployment_is_gone_gets_another_name,
            an_origin_or_a_configuration_that_is_damaged,
            a_disk_that_is_full_at_any_step,
            a_boot_that_is_really_full,
            a_lock_that_somebody_has_is_waited_for,
            without_root_or_without_ostree_nothing_is_done,
            conflicts_in_etc_are_named_and_nothing_is_changed,
            a_boot_on_fat_is_refused_by_name,
            a_file_of_the_boot_loader_that_cannot_be_read,
            a_disk_that_stays_read_only,
            an_entry_with_an_odd_name_is_one_of_the_list,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), reading_errors:
            a_plan_is_whole_or_an_error,
            a_finalization_is_whole_or_an_error,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), boot_of_others:
            kernels_of_others_stay,
            an_entry_that_leads_nowhere_stays_with_its_kernel,
            entries_that_lead_here_follow_their_deployment,
            whatever_is_kept_stays_what_it_is,
            what_cannot_be_given_a_second_name_is_moved,
            an_entry_that_is_a_link_is_an_entry,
            a_damaged_deployment_does_not_block_the_update,
            an_unknown_layout_is_left_to_ostree,
            a_link_and_further_lines_are_followed,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), grub:
            no_failure_of_its_program_loses_the_update,
            a_menu_that_was_not_written_is_told_at_the_next_boot,
            on_an_esp_the_menu_takes_its_place_after_the_swap,
            an_old_menu_boots_until_a_new_one_is_written,
            killed_at_any_call_a_menu_boots,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), renames:
            what_is_replaced_during_the_merge_is_not_lost_on_ext4,
            what_is_replaced_during_the_merge_is_not_lost_on_xfs,
            what_is_replaced_during_the_merge_is_not_lost_on_btrfs,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), staged_etc:
            edits_of_the_staged_etc_survive_a_run_that_was_interrupted_or_failed,
            edits_of_another_staged_etc_are_not_reset,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), deep:
            a_directory_that_is_too_deep_is_told_before_and_at_shutdown,
            a_directory_as_deep_as_paths_go_is_carried_over,
            the_end_of_a_run_that_was_planning_is_reported,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), etc_words:
            conflicts_are_told_in_the_peers_words_and_with_the_files,
            a_conflict_comes_with_the_command_that_ends_it,
            a_tree_without_usr_etc_is_to_be_rebuilt,
            an_empty_file_does_not_take_the_place_of_an_interrupted_run,
        ));
        trials.extend(with_guest!(guest, missing.or(no_binary), leases: a_lease_on_a_file_is_waited_for));
        trials.extend(with_guest!(guest, missing.or(no_binary), restart:
            killed_at_any_call_with_a_separate_boot,
            killed_at_any_call_with_one_filesystem,
            killed_at_any_call_with_a_policy_that_is_changed,
            killed_at_any_call_when_only_the_boot_links_swap,
            killed_at_any_call_with_syslinux,
            killed_at_any_call_with_uboot,
            preparing_killed_at_any_call_the_peer_finalizes,
            what_an_interrupted_run_kept_is_void_when_something_else_happened,
        ));
    }
    trials.extend(with_guest!(guest, missing, sabotage:
        each_kind_of_difference_is_found,
        what_the_journal_is_told_is_compared,
    ));
    let peer_twice = std::env::var_os("FIRSTROOT_PEER_TWICE").is_some();
    for scenario in scenarios.iter().filter(|scenario| scenario.guests.contains(&guest)) {
        let (ours, name) = (scenario.clone(), scenario.name());
        let trial_name = format!("beside_the_peer::{name}_with_{guest}");
        let run = move || beside_the_peer::the_same_is_left(&ours, guest);
        let elsewhere = scenario.not_each_time_with(guest).filter(|_| !every_call_is_wanted());
        let elsewhere = elsewhere.map(|story| format!("only with cargo xtask test --all; nearest to it is {story}"));
        trials.push(trial(trial_name, missing.or(no_binary).or(elsewhere.as_deref()), run));
        if peer_twice {
            let peers = scenario.clone();
            let run = move || beside_the_peer::the_peer_leaves_the_same_twice(&peers, guest);
            trials.push(trial(format!("peer_twice::{name}_with_{guest}"), missing, run));
        }
    }
    trials
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each machine has mount namespaces of its own, so that several do not disturb each other.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A machine waits for its disks, and for its programs to be killed, nearly half of the time.
    arguments.test_threads.get_or_insert((cores * 2).min(8));
    let scenarios = scenarios::all();
    let mut tests: Vec<Trial> = Guest::booted().into_iter().flat_map(|guest| of_guest(guest, &scenarios)).collect();
    for (nearest, _) in scenarios.iter().filter_map(|scenario| scenario.nearest) {
        let is_of_every_run = |scenario: &Scenario| {
            let with = |guest: &Guest| scenario.not_each_time_with(*guest).is_none();
            scenario.name() == nearest && scenario.guests.iter().any(with)
        };
        assert!(scenarios.iter().any(is_of_every_run), "no story of every run: {nearest}");
    }
    tests.push(trial("differences::names_are_those_of_the_documentation".to_owned(), None, move || {
        differences::names_are_those_of_the_documentation(&scenarios)
    }));
    let conclusion = libtest_mimic::run(&arguments, tests);
    print_longest();
    conclusion.exit_code()
}
