//! The deployment that an update replaces is removed after the next boot, and nothing that is in use ever is.

use std::fs;

use anyhow::{Result, ensure};
use namespace_tests::finalize::{Contestant, Machine, Story};
use qemu_tests::guest::Guest;

use super::ours::{boots_version, ours};

const CLEAN: &str = "/usr/lib/firstroot/ostree-finalize-staged --clean";

/// Finds the directory of version 1.
const UNLISTED: &str = "d=$(ls -d /sysroot/ostree/deploy/os/deploy/*.0 | while read d; do test -e $d/usr/lib/second || \
    test -e $d/usr/lib/third || echo $d; done)";

/// Booted is version 2, version 1 is the rollback, and version 3 is staged.
fn three(guest: Guest) -> Result<Machine> {
    let story = Story::named("old-deployments").tree("os/next", "2", "kernel 2; touch usr/lib/second").tree(
        "os/later",
        "3",
        "kernel 3; touch usr/lib/third",
    );
    story.stage("os/next").reboot().stage("os/later").staged(guest)?.copy()
}

/// Directories of deployments, of their origins, and backing directories.
fn counts(machine: &Machine) -> Result<[usize; 3]> {
    machine.with_disk(|root| {
        let names = |place: &str| -> Result<Vec<String>> {
            let entries = fs::read_dir(root.join("ostree/deploy/os").join(place))?;
            Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        };
        let deploy = names("deploy")?;
        let origins = deploy.iter().filter(|name| name.ends_with(".origin")).count();
        Ok([deploy.len() - origins, origins, names("backing")?.len()])
    })
}

/// Finalized and booted: version 1 is there, and in no list.
fn after_the_next_boot(guest: Guest) -> Result<Machine> {
    let machine = three(guest)?;
    machine.check("echo mine >/etc/mine")?;
    ours(&machine, &[])?;
    ensure!(counts(&machine)?[..2] == [3, 3], "the old deployment has gone at shutdown: {:?}", counts(&machine)?);
    boots_version(&machine, "3")?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.contains("Version: 2\n") && !status.contains("Version: 1\n"), "{status}");
    Ok(machine)
}

/// Two deployments are left, and are what they are to `ostree`.
fn only_two_are_left(machine: &Machine) -> Result<()> {
    ensure!(counts(machine)? == [2; 3], "{:?}", counts(machine)?);
    machine.check("ostree fsck --quiet; grep -qx mine /etc/mine; ostree admin set-default 1")?;
    boots_version(machine, "2")
}

pub(crate) fn what_is_replaced_is_removed_after_the_next_boot(guest: Guest) -> Result<()> {
    let machine = after_the_next_boot(guest)?;
    // `ostree` has the lock, and gets it when it asks for it; nothing is left then, and nothing is said.
    ensure!(ours(&machine, &["--clean"])?.is_empty());
    ensure!(ours(&machine, &["--clean"])?.is_empty(), "once more");
    only_two_are_left(&machine)
}

/// Nothing that chattr(1) can set is in the way.
pub(crate) fn append_only_and_immutable_files_go_with_it(guest: Guest) -> Result<()> {
    let machine = after_the_next_boot(guest)?;
    machine.check(&format!(
        "{UNLISTED}; mount -o remount,rw /sysroot; chattr -i $d; mkdir $d/log $d/kept; echo x >$d/log/append; echo x >$d/kept/immutable
         chattr +a $d/log/append $d/log; chattr +i $d/kept/immutable $d/kept $d"
    ))?;
    let said = ours(&machine, &["--clean"])?;
    ensure!(said.is_empty(), "{said}");
    only_two_are_left(&machine)
}

pub(crate) fn libostree_removes_it_as_well(guest: Guest) -> Result<()> {
    let machine = after_the_next_boot(guest)?;
    machine.check("ostree admin cleanup")?;
    only_two_are_left(&machine)
}

/// Staged, locked, the next root of a soft reboot, pinned, of an entry that cannot be followed: in no list or in one.
pub(crate) fn what_is_in_use_is_never_removed(guest: Guest) -> Result<()> {
    // Of what is staged there is a directory, an origin, and in no case an entry.
    for before in [
        "true",
        "touch /run/ostree/staged-deployment-locked",
        "mv /run/ostree/staged-deployment /run/ostree/staged-deployment-finalizing",
    ] {
        let machine = three(guest)?;
        machine.check(&format!("{before}; {CLEAN}"))?;
        ensure!(counts(&machine)?[..2] == [3, 3], "{before}: {:?}", counts(&machine)?);
    }
    let next_root = format!(
        "{UNLISTED}; {{ head -c 32 /run/ostree-booted; perl -e 'print pack(q(Q<Q<), @ARGV)' $(stat -c '%d %i' $d); \
         tail -c +49 /run/ostree-booted; }} >/run/ostree/nextroot-booted"
    );
    let dangling =
        r"sed 's,\(ostree=[^ ]*\)/0,\1/7,' /boot/loader/entries/ostree-1.conf >/boot/loader/entries/ostree-9.conf";
    for before in [next_root.as_str(), dangling] {
        let machine = after_the_next_boot(guest)?;
        machine.check(&format!("{before}; {CLEAN} || true"))?;
        ensure!(counts(&machine)?[..2] == [3, 3], "{before}: {:?}", counts(&machine)?);
    }
    let machine = three(guest)?;
    machine.check("ostree admin pin 2")?;
    ours(&machine, &[])?;
    boots_version(&machine, "3")?;
    ours(&machine, &["--clean"])?;
    ensure!(counts(&machine)?[..2] == [3, 3], "pinned: {:?}", counts(&machine)?);
    Ok(())
}

pub(crate) fn where_the_disk_is_nearly_full_it_is_removed_at_once(guest: Guest) -> Result<()> {
    let machine = three(guest)?;
    machine.check("echo mine >/etc/mine; fallocate --length $(($(stat --file-system --format='%a * 4096' /sysroot) - (20 << 20))) /var/filler")?;
    ours(&machine, &[])?;
    boots_version(&machine, "3")?;
    only_two_are_left(&machine)
}

/// Where nothing removes them after a boot, they do not pile up.
pub(crate) fn what_was_left_a_boot_ago_is_removed_at_shutdown(guest: Guest) -> Result<()> {
    let machine = three(guest)?;
    let stray = "3".repeat(64);
    machine.with_disk(|root| {
        let deploy = root.join("ostree/deploy/os/deploy");
        fs::create_dir_all(deploy.join(format!("{stray}.0/usr/lib")))?;
        Ok(fs::write(deploy.join(format!("{stray}.0.origin")), "")?)
    })?;
    ours(&machine, &[])?;
    ensure!(counts(&machine)?[..2] == [3, 3], "{:?}", counts(&machine)?);
    let is_there = machine.with_disk(|root| Ok(root.join(format!("ostree/deploy/os/deploy/{stray}.0")).exists()))?;
    ensure!(!is_there, "the one that was in no list before is still there");
    Ok(())
}

pub(crate) fn killed_at_any_call_the_next_run_goes_on(guest: Guest) -> Result<()> {
    let machine = after_the_next_boot(guest)?;
    let mut killed = 0;
    for (call, number) in
        [("unlinkat", 1), ("unlinkat", 2), ("unlinkat", 30), ("unlinkat", 90), ("fcntl", 1), ("ioctl", 1)]
    {
        let machine = machine.another()?;
        let inject = format!("inject={call}:signal=KILL:when={number}");
        let options = ["-e", "trace=all", "-e", &inject, "-o", "/dev/null"];
        let first = machine.finalize_with(Contestant::Ours, &options, &["--clean"])?;
        killed += usize::from(first.outcome.signal == Some(9));
        ours(&machine, &["--clean"])?;
        ensure!(counts(&machine)? == [2; 3], "killed at {call} {number}: {:?}", counts(&machine)?);
        boots_version(&machine, "3")?;
    }
    ensure!(killed >= 4, "only {killed} runs were killed");
    Ok(())
}
