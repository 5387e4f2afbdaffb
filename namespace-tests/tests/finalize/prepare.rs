//! What is done before shutdown, and what shutdown makes of it.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use namespace_tests::finalize::Contestant;
use qemu_tests::guest::Guest;

use super::ours::{boots_version, is_what_the_tree_has, ours, separate_boot};
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
    ensure!(plan.contains("prepared: /boot/ostree/os-") && plan.contains("bytes for /boot: 0\n"), "{plan}");
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
        let outcome = moment.run(&machine, "--prepare", "/usr/lib/ostree/ostree-finalize-staged")?;
        ensure!(outcome.code == Some(0), "{moment:?}: {outcome:?}");
        is_what_the_tree_has(&machine)?;
        boots_version(&machine, "2")?;
    }
    Ok(())
}
