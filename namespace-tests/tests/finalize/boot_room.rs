//! A `/boot` that is nearly full: what is said before shutdown is what shutdown does, and what does not fit changes nothing.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Machine, Story, compare, listing, show};
use qemu_tests::guest::Guest;

use super::ours::{boots_version, is_what_the_tree_has, separate_boot};
use super::scenarios::boot_room::{filled_up_to, small_boot};

const TWO_STEPS: &str = "Insufficient space left in bootfs; updating bootloader in two steps\n";

/// Booted, rollback, and a new one staged with a kernel of this many bytes; this many KiB are left.
fn three(name: &str, kernel: &str, left: u32) -> Story {
    let story = small_boot(name).tree("os/later", "3", kernel).stage("os/next").reboot();
    story.then(filled_up_to(left)).stage("os/later")
}

fn the_usual() -> Story {
    three("boot-room", "kernel 3", 60)
}

fn state(machine: &Machine) -> Result<namespace_tests::finalize::Listing> {
    let mut listing = listing(machine, &machine.run_with_journal("true")?)?;
    listing.remove("ostree/lock");
    listing.remove("boot/ostree/finalize-failure.stamp");
    // What was compared; it goes with the next boot.
    listing.retain(|path, _| !path.starts_with("run-ostree/finalize-staged-compared."));
    Ok(listing)
}

/// `--prepare` refuses nothing that shutdown does, and leaves nothing half-done.
pub(crate) fn what_fits_when_an_old_kernel_has_gone_is_left_to_shutdown(guest: Guest) -> Result<()> {
    let machine = the_usual().staged(guest)?.copy()?;
    let before = state(&machine)?;
    let prepared = machine.finalize_with(Contestant::Ours, &[], &["--prepare"])?;
    let text = "/boot has room for the new kernel only after an old one is removed: shutdown will install it";
    ensure!(prepared.outcome.code == Some(0) && prepared.outcome.stderr.contains(text), "{:?}", prepared.outcome);
    let found = compare(&state(&machine)?, &before);
    ensure!(found.is_empty(), "ours: after, peer: before\n{}", show(&found));
    let finalized = machine.finalize(Contestant::Ours)?;
    ensure!(
        finalized.outcome.code == Some(0) && finalized.outcome.stderr.contains(TWO_STEPS),
        "{:?}",
        finalized.outcome
    );
    is_what_the_tree_has(&machine)?;
    boots_version(&machine, "3")
}

/// Where removing the old kernel is not enough, the old deployment stays, before shutdown and at it.
pub(crate) fn what_never_fits_is_refused_and_the_old_deployment_stays(guest: Guest) -> Result<()> {
    let larger = "kernel 3; pseudo_random 9 5000000 >usr/lib/modules/6.1.0/vmlinuz";
    let machine = three("boot-room-larger", larger, 60).staged(guest)?.copy()?;
    let before = state(&machine)?;
    for arguments in [&["--prepare"][..], &[]] {
        let refused = machine.finalize_with(Contestant::Ours, &[], arguments)?;
        let said = &refused.outcome.stderr;
        let text = "No space left on device: /boot has ";
        ensure!(refused.outcome.code == Some(1) && said.contains(text) && !said.contains(TWO_STEPS), "{said}");
        let found = compare(&state(&machine)?, &before);
        ensure!(found.is_empty(), "{arguments:?}: ours: after, peer: before\n{}", show(&found));
    }
    machine.check("rm /boot/filler")?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&machine, "3")
}

/// An estimate cannot know what the filesystem needs for itself: it says no in the middle, and then there are two steps.
pub(crate) fn what_turns_out_not_to_fit_is_taken_back_and_fits_in_two_steps(guest: Guest) -> Result<()> {
    for call in ["write:error=ENOSPC:when=40", "mkdirat:error=ENOSPC:when=1", "mkdirat:error=ENOSPC:when=3"] {
        let machine = three("boot-room-spare", "kernel 3", 5000).staged(guest)?.copy()?;
        let inject = format!("inject={call}");
        let traced =
            machine.strace(Contestant::Ours, &["-e", "trace=write,mkdirat", "-e", &inject, "-o", "/dev/null"])?;
        ensure!(traced.outcome.code == Some(0) && traced.outcome.stderr.contains(TWO_STEPS), "{:?}", traced.outcome);
        is_what_the_tree_has(&machine)?;
        boots_version(&machine, "3")?;
    }
    Ok(())
}

/// What `--prepare` has put there leaves no room for entries: it goes, and comes again.
pub(crate) fn a_prepared_kernel_is_no_obstacle(guest: Guest) -> Result<()> {
    let story = three("boot-room-ample", "kernel 3", 5000);
    let story = Story { kernel_bytes: 2_500_000, initramfs_bytes: 2_500_000, ..story };
    let machine = story.staged(guest)?.copy()?;
    machine.finalize_with(Contestant::Ours, &[], &["--prepare"])?.outcome.success()?;
    machine.check("ls -d /boot/ostree/*.prepared; dd if=/dev/zero of=/boot/more bs=4k 2>/dev/null || true; sync")?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    is_what_the_tree_has(&machine)?;
    boots_version(&machine, "3")
}

/// libostree's option.
pub(crate) fn two_steps_can_be_forbidden(guest: Guest) -> Result<()> {
    let machine = the_usual().staged(guest)?.copy()?;
    let before = state(&machine)?;
    let option = ["OSTREE_SYSROOT_OPTS=no-early-prune".to_owned()];
    let refused = machine.finalize_in(Contestant::Ours, &option)?;
    let text = "No space left on device";
    ensure!(refused.outcome.code == Some(1) && refused.outcome.stderr.contains(text), "{:?}", refused.outcome);
    let found = compare(&state(&machine)?, &before);
    ensure!(found.is_empty(), "ours: after, peer: before\n{}", show(&found));
    Ok(())
}

/// Killed in either step, the old system or the new one boots, and a second run finishes it.
pub(crate) fn killed_in_either_step_it_is_finished_by_a_second_run(guest: Guest) -> Result<()> {
    let disk = the_usual().staged(guest)?;
    let mut killed = 0;
    for (call, times) in [("renameat2", 4), ("syncfs", 5)] {
        for number in 1..=times {
            let machine = disk.copy()?;
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let first = machine
                .strace(Contestant::Ours, &["-e", &format!("trace={call}"), "-e", &inject, "-o", "/dev/null"])?;
            killed += usize::from(first.outcome.signal == Some(9));
            machine
                .finalize(Contestant::Ours)?
                .outcome
                .success()
                .with_context(|| format!("killed at {call} {number}"))?;
            is_what_the_tree_has(&machine)?;
            boots_version(&machine, "3").with_context(|| format!("killed at {call} {number}"))?;
        }
    }
    ensure!(killed > 6, "only {killed} runs were killed");
    Ok(())
}

/// The cure is to mount it, not to repair anything.
pub(crate) fn a_boot_that_is_not_mounted_is_called_that(guest: Guest) -> Result<()> {
    let machine = separate_boot().staged(guest)?.copy()?;
    for arguments in ["--prepare", ""] {
        let outcome = machine.run(&format!("umount /boot; /usr/lib/firstroot/ostree-finalize-staged {arguments}"))?;
        let text = "/boot is not mounted and has no loader: mount it (`mount /boot`)";
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(text), "{arguments}: {outcome:?}");
    }
    // Each run has it mounted again.
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&machine, "2")
}
