//! Programs that replace files by renames, as passwd, NetworkManager and systemd do, never lose one to the merge of `/etc`.

use std::fmt::Write;

use anyhow::{Result, ensure};
use namespace_tests::finalize::{Filesystem, Machine, Story};
use qemu_tests::guest::Guest;

use crate::ours::boots_version;

/// How often the changes of a machine are looked for, on each filesystem.
const PLANS: usize = 65;
/// How often a machine is finalized, on each filesystem; [`MORE`] says another number.
const FINALIZATIONS: usize = 3;
const MORE: &str = "FIRSTROOT_FINALIZATIONS";

/// 2,000 files make a listing of `/etc` long.
const ARRANGE: &str = "cd /etc; for n in $(seq 1 2000); do echo $n >file-with-a-usual-name-$n.conf; done
    for n in $(seq 10 59); do echo mine >busy-$n; done";
/// Replaces three shipped files and 50 others, without a pause, until it is killed.
const WRITER: &str = r#"perl -e '
    chdir "/etc" or die;
    my @names = ("passwd", "shadow", "group", map { "busy-$_" } 10 .. 59);
    my %content = map { open my $file, "<", $_ or die; $_ => join "", <$file> } @names;
    open my $go, ">", "/run/go";
    while (1) {
        for my $name (@names, ("passwd", "shadow", "group") x 5) {
            open my $file, ">", "$name.new" or die; print $file $content{$name}; close $file;
            rename "$name.new", $name or die;
        }
    }' & writer=$!
    until test -e /run/go; do :; done"#;

fn machine(guest: Guest, filesystem: Filesystem) -> Result<Machine> {
    let story = Story::new_kernel().on(filesystem);
    // The disks that the test of the filesystems has made.
    let name = match filesystem {
        Filesystem::Ext4 => story.name.clone(),
        other => format!("{}-{}-same", story.name, other.name()),
    };
    let machine = Story { name, ..story }.staged(guest)?.copy()?;
    machine.check(ARRANGE)?;
    Ok(machine)
}

fn plans(machine: &Machine) -> Result<()> {
    let outcome = machine.run(&format!(
        "{WRITER}
        for n in $(seq 1 {PLANS}); do
            /usr/lib/firstroot/ostree-finalize-staged --plan >/run/plan || break
            ! grep 'removed: /etc/' /run/plan || break
            test $(grep -c 'added: /etc/busy-[0-9]*$' /run/plan) = 50 || break
            echo planned
        done
        kill $writer"
    ))?;
    let planned = outcome.stdout.lines().filter(|line| *line == "planned").count();
    ensure!(planned == PLANS, "after {planned} plans: {outcome:?}");
    Ok(())
}

fn finalizations(machine: &Machine) -> Result<()> {
    let mut checks = String::new();
    for name in ["passwd", "shadow", "group"] {
        write!(checks, "grep -q ^root: /etc/{name}; ")?;
    }
    checks.push_str(
        "for n in $(seq 10 59); do grep -qx mine /etc/busy-$n; done; \
        test $(ls /etc | grep -c '^file-with-a-usual-name-') = 2000; test -z \"$(find /etc -name '*.new' ! -type f)\"",
    );
    let rounds = match std::env::var(MORE) {
        Ok(number) => number.parse()?,
        Err(_) => FINALIZATIONS,
    };
    for round in 0..rounds {
        let machine = machine.another()?;
        let run = "/usr/lib/firstroot/ostree-finalize-staged; status=$?; kill $writer; exit $status";
        let outcome = machine.run(&format!("{WRITER}\n{run}"))?;
        ensure!(outcome.code == Some(0), "round {round}: {outcome:?}");
        boots_version(&machine, "2")?;
        machine.check(&checks)?;
    }
    Ok(())
}

fn nothing_is_lost(guest: Guest, filesystem: Filesystem) -> Result<()> {
    let machine = machine(guest, filesystem)?;
    plans(&machine)?;
    finalizations(&machine)
}

pub(crate) fn what_is_replaced_during_the_merge_is_not_lost_on_ext4(guest: Guest) -> Result<()> {
    nothing_is_lost(guest, Filesystem::Ext4)
}

pub(crate) fn what_is_replaced_during_the_merge_is_not_lost_on_xfs(guest: Guest) -> Result<()> {
    nothing_is_lost(guest, Filesystem::Xfs)
}

pub(crate) fn what_is_replaced_during_the_merge_is_not_lost_on_btrfs(guest: Guest) -> Result<()> {
    nothing_is_lost(guest, Filesystem::Btrfs)
}
