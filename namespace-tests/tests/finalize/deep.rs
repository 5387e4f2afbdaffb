//! A directory that is deeper than any path, which every service that owns a directory in `/etc` can make.

use anyhow::{Result, ensure};
use namespace_tests::finalize::Contestant;
use qemu_tests::guest::Guest;

use crate::ours::{boots_version, staged};

/// At the end of so many directories `d`, a file.
fn deep(place: &str, levels: usize) -> String {
    format!(
        "mkdir -p {place}; perl -e 'chdir \"{place}\" or die; \
        for (1 .. {levels}) {{ mkdir \"d\" or die; chdir \"d\" or die }} open my $f, \">\", \"file\" or die'"
    )
}

pub(crate) fn a_directory_that_is_too_deep_is_told_before_and_at_shutdown(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check(&deep("/etc/deep", 12_000))?;
    for arguments in [&["--prepare"][..], &[]] {
        let outcome = machine.finalize_with(Contestant::Ours, &[], arguments)?.outcome;
        let said = &outcome.stderr;
        ensure!(
            outcome.code == Some(1)
                && said.contains("the path of the directory /etc/deep/d/d/")
                && said.contains("remove that directory")
                && said.lines().last().is_some_and(|line| line.len() < 600),
            "{outcome:?}"
        );
    }
    let stamp = machine.check("cat /boot/ostree/finalize-failure.stamp")?;
    ensure!(stamp.contains("the path of the directory /etc/deep/d/d/"), "{stamp}");
    // As the message says.
    machine.check("rm -r /etc/deep")?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&machine, "2")
}

pub(crate) fn a_directory_as_deep_as_paths_go_is_carried_over(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check(&deep("/etc/deep", 2000))?;
    // With no more open files than a service may have.
    let outcome = machine.finalize_under(Contestant::Ours, "prlimit --nofile=1024:1024")?.outcome;
    outcome.success()?;
    boots_version(&machine, "2")?;
    machine.check("cd /etc/deep; perl -e 'for (1 .. 2000) { chdir \"d\" or die } -e \"file\" or die'")?;
    Ok(())
}

/// A program that is killed, or crashes, while it only reads.
pub(crate) fn the_end_of_a_run_that_was_planning_is_reported(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let killed = machine.strace(Contestant::Ours, &["-e", "inject=fadvise64:signal=KILL", "-o", "/dev/null"])?;
    ensure!(killed.outcome.signal == Some(9), "{:?}", killed.outcome);
    machine.boot_default()?;
    let reported = machine.finalize_with(Contestant::Ours, &[], &["--boot-complete"])?.outcome;
    ensure!(reported.stderr.contains("interrupted while planning, finalizing ostree/"), "{reported:?}");
    Ok(())
}
