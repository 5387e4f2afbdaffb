//! What is done before shutdown, and what shutdown makes of it.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use namespace_tests::finalize::{Contestant, Filesystem, Machine, Story};
use qemu_tests::guest::Guest;

use super::ours::{boots_version, is_what_the_tree_has, ours, plan_json, separate_boot, staged};
use super::pause::moments;

fn prepared_directories(root: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(root.join("boot/ostree"))?.flatten().map(|entry| entry.file_name());
    Ok(names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".prepared")).collect())
}

/// Of the kernel nothing is left to be copied at shutdown.
pub(crate) fn what_is_prepared_is_only_renamed(guest: Guest) -> Result<()> {
    let machine = separate_boot().staged(guest)?.copy()?;
    let said = ours(&machine, &["--prepare"])?;
    ensure!(said.contains("is prepared: shutdown will merge /etc and make it the default"), "{said}");
    let prepared = machine.with_disk(prepared_directories)?;
    ensure!(prepared.len() == 1, "{prepared:?}");
    // Once more: nothing is copied again.
    let traced = machine.finalize_with(Contestant::Ours, &["-e", "trace=fdatasync"], &["--prepare"])?;
    ensure!(!traced.outcome.stderr.contains("fdatasync"), "{:?}", traced.outcome);
    let plan = ours(&machine, &["--plan"])?;
    ensure!(plan.contains("prepared: /boot/ostree/os-") && plan.contains("needed in /boot: 0 bytes\n"), "{plan}");
    let json = plan_json(&machine, "")?;
    ensure!(json.pointer("/boot/installs/0/method").is_some_and(|method| method == "prepared"), "{json:#}");
    let traced = machine.strace(Contestant::Ours, &["-e", "trace=fdatasync,read"])?;
    traced.outcome.clone().success()?;
    let large_reads = traced.outcome.stderr.lines().filter(|line| line.contains("read(") && line.ends_with("= 262144"));
    ensure!(!traced.outcome.stderr.contains("fdatasync") && large_reads.count() == 0, "{:?}", traced.outcome);
    ensure!(machine.with_disk(prepared_directories)?.is_empty());
    boots_version(&machine, "2")
}

/// Whatever happened to what was prepared, what is booted is what the tree has.
pub(crate) fn what_was_prepared_and_damaged_is_not_booted(guest: Guest) -> Result<()> {
    let changes: [&str; 4] = [
        "echo x | dd of=$d/$(ls $d | head -1) conv=notrunc 2>/dev/null",
        "rm -r $d",
        "rm $d/$(ls $d | head -1)",
        "touch $d/more",
    ];
    for change in changes {
        let machine = separate_boot().staged(guest)?.copy()?;
        ours(&machine, &["--prepare"])?;
        machine.check(&format!("d=$(echo /boot/ostree/*.prepared); {change}"))?;
        ours(&machine, &[])?;
        is_what_the_tree_has(&machine)?;
        boots_version(&machine, "2")?;
    }
    Ok(())
}

/// Somebody finalizes by hand while the path unit's service is at work.
pub(crate) fn preparing_and_finalizing_at_the_same_time_do_not_disturb_each_other(guest: Guest) -> Result<()> {
    let machine = separate_boot().staged(guest)?.copy()?;
    for moment in moments(&machine, "--prepare", &["/boot", ".prepared"], 5)? {
        let machine = machine.another()?;
        let outcome = moment.run(&machine, "--prepare", "/usr/lib/firstroot/ostree-finalize-staged")?;
        ensure!(outcome.code == Some(0), "{moment:?}: {outcome:?}");
        is_what_the_tree_has(&machine)?;
        boots_version(&machine, "2")?;
    }
    Ok(())
}

/// Reads of large files, by the buffer that they are read with.
fn large_reads(machine: &Machine, arguments: &[&str]) -> Result<usize> {
    let traced = machine.finalize_with(Contestant::Ours, &["-e", "trace=read"], arguments)?;
    traced.outcome.clone().success()?;
    Ok(traced.outcome.stderr.lines().filter(|line| line.contains("read(") && line.ends_with("= 262144")).count())
}

/// A kernel that was booted, or that libostree has read to stage it, is not read again while nothing has changed; what was compared
/// is compared once, and not at shutdown.
pub(crate) fn what_is_known_to_be_good_is_not_read_again(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    ensure!(large_reads(&machine, &["--prepare"])? == 0, "/boot is on the root, and nothing has changed");
    let same_kernel = Story::named("same-kernel").with_boot_on(Filesystem::Ext4);
    let same_kernel = same_kernel.tree("os/next", "2", "echo 2 >usr/etc/x").stage("os/next");
    let machine = same_kernel.staged(guest)?.copy()?;
    ensure!(machine.another().and_then(|machine| large_reads(&machine, &[]))? > 0, "not prepared, it is compared");
    ensure!(large_reads(&machine, &["--prepare"])? > 0, "it was not compared");
    ensure!(large_reads(&machine, &["--prepare"])? == 0, "it was compared once more");
    ensure!(large_reads(&machine, &[])? == 0, "it was compared at shutdown");
    boots_version(&machine, "2")
}

/// What changes after the boot, and what is not booted, is compared.
pub(crate) fn a_damaged_kernel_of_what_stays_is_told(guest: Guest) -> Result<()> {
    let story = Story::named("damage-is-told")
        .with_boot_on(Filesystem::Ext4)
        .tree("os/next", "2", "kernel 2")
        .tree("os/later", "3", "kernel 3");
    let story = story.stage("os/next").reboot().then("ostree admin pin 1").stage("os/later");
    let disk = story.staged(guest)?;
    for change in [
        // The booted one's, while it runs.
        "sum=$(sed 's,.*ostree=/ostree/boot../os/\\([^/]*\\)/.*,\\1,' /proc/cmdline); echo x | dd of=$(echo /boot/ostree/os-$sum/vmlinuz*) conv=notrunc 2>/dev/null",
        // The pinned one's.
        "sum=$(sed -n 's,.*ostree=/ostree/boot../os/\\([^/]*\\)/.*,\\1,p' /boot/loader/entries/ostree-1.conf); echo x | dd of=$(echo /boot/ostree/os-$sum/vmlinuz*) conv=notrunc 2>/dev/null",
    ] {
        let machine = disk.copy()?;
        let outcome =
            machine.run(&format!("set -e; {change}; exec /usr/lib/firstroot/ostree-finalize-staged --prepare"))?;
        let text = "that deployment may not boot";
        ensure!(outcome.code == Some(0) && outcome.stderr.contains(text), "{change}: {outcome:?}");
    }
    let machine = disk.copy()?;
    let said = ours(&machine, &["--prepare"])?;
    ensure!(!said.contains("may not boot"), "nothing is damaged: {said}");
    Ok(())
}

/// The kernel that is staged is read where it has changed since.
pub(crate) fn a_staged_kernel_that_has_changed_is_refused(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let outcome = machine.run(
        "set -e; d=$(ls -d /sysroot/ostree/deploy/os/deploy/*.0 | while read d; do test $(stat -c %i $d) = $(stat -c %i /) || echo $d; done)
         chattr -i $d; echo x >>$d/usr/lib/modules/6.1.0/vmlinuz; exec /usr/lib/firstroot/ostree-finalize-staged --prepare",
    )?;
    let text = "kernel and initramfs of /ostree/deploy/os/deploy/";
    ensure!(outcome.code == Some(1) && outcome.stderr.contains(text), "{outcome:?}");
    Ok(())
}
