//! Killed at any system call and started again, it ends in the same state as one undisturbed run.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Filesystem, Finalized, Listing, Machine, Story, compare, listing, show};
use namespace_tests::{Outcome, every_call_is_wanted};
use qemu_tests::guest::Guest;

use crate::selinux;

/// What changes something. Of what only looks, some of them do.
const CHANGING: [&str; 16] = [
    "mkdirat",
    "unlinkat",
    "renameat",
    "renameat2",
    "symlinkat",
    "linkat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "syncfs",
    "ioctl",
    "fchmod",
    "fchown",
    "utimensat",
    "fsetxattr",
];
/// One of so many calls that only look.
const LOOKING_SAMPLE: usize = 20;

/// A new tree in which files that are shipped have changed.
pub(crate) fn story(name: &str) -> Story {
    Story::named(name)
        .tree("os/next", "2", "kernel 2; echo new >usr/etc/conf.d/00003.conf; rm usr/etc/conf.d/00004.conf")
        .stage("os/next")
}

/// What is to be carried over.
pub(crate) const EDITS: &str = "echo mine >/etc/hostname; rm /etc/conf.d/00001.conf; echo mine >>/etc/conf.d/00002.conf; \
    mkdir -p /etc/new/inner; echo mine >/etc/new/inner/file; ln -s /nowhere /etc/new/link; chmod 700 /etc/empty.d; \
    setfattr -n user.mine -v x /etc/group";

/// Calls of one undisturbed run in their order, each with its number among those of its name.
pub(crate) fn calls(machine: &Machine, arguments: &[&str]) -> Result<Vec<(String, usize)>> {
    let traced = machine.another()?.finalize_with(Contestant::Ours, &["-e", "trace=all"], arguments)?;
    traced.outcome.clone().success()?;
    let mut seen = std::collections::HashMap::new();
    let name = |line: &str| {
        let line = line.strip_prefix("[pid").map_or(line, |rest| rest.split_once("] ").map_or(rest, |(_, call)| call));
        let (name, _) = line.split_once('(')?;
        (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
            .then(|| name.to_owned())
    };
    Ok(traced
        .outcome
        .stderr
        .lines()
        .filter_map(name)
        .map(|name| {
            let number: &mut usize = seen.entry(name.clone()).or_default();
            *number += 1;
            (name, *number)
        })
        .collect())
}

/// Those at which a run is killed.
pub(crate) fn chosen(calls: Vec<(String, usize)>, sample: usize) -> Vec<(String, usize)> {
    if every_call_is_wanted() {
        return calls;
    }
    let (changing, looking): (Vec<_>, Vec<_>) =
        calls.into_iter().partition(|(name, _)| CHANGING.contains(&name.as_str()));
    let some = |calls: Vec<(String, usize)>, step: usize| calls.into_iter().step_by(step);
    some(changing, sample).chain(some(looking, sample * LOOKING_SAMPLE)).collect()
}

/// Disks and `/run/ostree`, without what one run said.
pub(crate) fn state(machine: &Machine) -> Result<Listing> {
    let nothing = Outcome { code: Some(0), signal: None, stdout: String::new(), stderr: String::new(), report: None };
    let mut listing = listing(machine, &Finalized { outcome: nothing, journal: Vec::new() })?;
    // An empty file, which the next one who locks it removes.
    listing.remove("ostree/lock");
    Ok(listing)
}

/// `between`: what must succeed in the system whose finalization was killed, before it is run again.
fn killed_and_run_again(story: &Story, guest: Guest, sample: usize, edits: &str, between: &str) -> Result<()> {
    let machine = story.staged(guest)?.copy()?;
    machine.check(&format!("{EDITS}; {edits}"))?;
    let undisturbed = machine.another()?;
    undisturbed.finalize(Contestant::Ours)?.outcome.success()?;
    let wanted = state(&undisturbed)?;
    let mut killed = 0;
    for (name, number) in chosen(calls(&machine, &[])?, sample) {
        let machine = machine.another()?;
        let inject = format!("inject={name}:signal=KILL:when={number}");
        let first = machine.strace(Contestant::Ours, &["-e", "trace=all", "-e", &inject, "-o", "/dev/null"])?;
        // A program that it executes was killed, or none.
        if first.outcome.signal != Some(9) {
            continue;
        }
        killed += 1;
        if !between.is_empty() {
            machine.check(between).with_context(|| format!("killed at {name} {number}: {}", first.outcome.stderr))?;
        }
        let second = machine.finalize(Contestant::Ours)?;
        ensure!(second.outcome.code == Some(0), "killed at {name} {number}: {:?}", second.outcome);
        let found = compare(&state(&machine)?, &wanted);
        ensure!(
            found.is_empty(),
            "killed at {name} {number}, run again; ours: that, peer: undisturbed\n{}\n{}\n{}",
            show(&found),
            first.outcome.stderr,
            second.outcome.stderr
        );
    }
    ensure!(killed > 10, "only {killed} runs were killed");
    Ok(())
}

pub(crate) fn killed_at_any_call_with_a_separate_boot(guest: Guest) -> Result<()> {
    killed_and_run_again(&story("restart-separate").with_boot_on(Filesystem::Ext4), guest, 3, "true", "")
}

pub(crate) fn killed_at_any_call_with_one_filesystem(guest: Guest) -> Result<()> {
    killed_and_run_again(&story("restart"), guest, 5, "true", "")
}

/// With labels, and a policy that is built at shutdown.
pub(crate) fn killed_at_any_call_with_a_policy_that_is_changed(guest: Guest) -> Result<()> {
    let story = selinux::story("restart", "", "echo new >usr/etc/conf.d/00003.conf").with_boot_on(Filesystem::Ext4);
    killed_and_run_again(&story.stage("os/next"), guest, 8, selinux::MODULE, "")
}

pub(crate) fn killed_at_any_call_when_only_the_boot_links_swap(guest: Guest) -> Result<()> {
    // Of the same version and kernel, after an update, so that the lists have the same length.
    let story = Story::named("restart-links")
        .tree("os/one", "1", "echo one >usr/etc/one")
        .tree("os/two", "1", "echo two >usr/etc/two")
        .stage("os/one")
        .reboot()
        .stage("os/two");
    killed_and_run_again(&story, guest, 4, "true", "")
}

/// In the boot loader's `$file`, each kernel and each initramfs is that of the deployment behind the boot link beside it.
const LEADS_TO_WHOLE_KERNELS: &str = r#"
    named() { tr -s '[:space:]=' '\n' <$file | grep -o $1; }
    named '/ostree/os-.*/vmlinuz-.*' >/run/kernels
    named '/ostree/os-.*/initramfs-.*' >/run/initramfs
    named '^/ostree/boot[.].*' >/run/links
    test $(wc -l </run/kernels) = 2; test $(wc -l </run/links) = $(grep -l ostree= /boot/loader/entries/* | wc -l)
    paste /run/kernels /run/initramfs /run/links | while read -r kernel initramfs link; do
        cmp /boot$kernel /sysroot$link/usr/lib/modules/*/vmlinuz
        cmp /boot$initramfs /sysroot$link/usr/lib/modules/*/initramfs.img
    done
    grep -q "^$whole" $file"#;

/// With a file that the boot loader reads, which the peer has written once, and a line that must be in it.
fn killed_with_a_file(name: &str, installed: &str, guest: Guest, file: &str, whole: &str) -> Result<()> {
    let story = Story::named(name)
        .configured("sysroot.bootloader", "auto")
        .installed(installed)
        .tree("os/next", "2", "kernel 2; echo new >usr/etc/conf.d/00003.conf; rm usr/etc/conf.d/00004.conf")
        .tree("os/later", "3", "kernel 3; echo newer >usr/etc/conf.d/00003.conf")
        .stage("os/next")
        .reboot()
        .stage("os/later");
    let between = format!("file=/boot/loader/{file}; whole='{whole}'\n{LEADS_TO_WHOLE_KERNELS}");
    killed_and_run_again(&story, guest, 20, "true", &between)
}

pub(crate) fn killed_at_any_call_with_uboot(guest: Guest) -> Result<()> {
    let installed = ": >/target/boot/loader/uEnv.txt; ln -s loader/uEnv.txt /target/boot/uEnv.txt";
    killed_with_a_file("restart-uboot", installed, guest, "uEnv.txt", "bootargs=")
}

pub(crate) fn killed_at_any_call_with_syslinux(guest: Guest) -> Result<()> {
    let installed = "mkdir /target/boot/syslinux; ln -s ../loader/syslinux.cfg /target/boot/syslinux/syslinux.cfg
        printf 'DEFAULT other\\nLABEL other\\n\\tKERNEL /other\\n' >/target/boot/loader/syslinux.cfg";
    killed_with_a_file("restart-syslinux-twice", installed, guest, "syslinux.cfg", "LABEL other")
}

/// Whatever `--prepare` leaves when it is killed, the peer can finalize.
pub(crate) fn preparing_killed_at_any_call_the_peer_finalizes(guest: Guest) -> Result<()> {
    let machine = story("restart-separate").with_boot_on(Filesystem::Ext4).staged(guest)?.copy()?;
    let mut killed = 0;
    for (name, number) in chosen(calls(&machine, &["--prepare"])?, 3) {
        let machine = machine.another()?;
        let inject = format!("inject={name}:signal=KILL:when={number}");
        let options = ["-e", "trace=all", "-e", &inject, "-o", "/dev/null"];
        let first = machine.finalize_with(Contestant::Ours, &options, &["--prepare"])?;
        killed += usize::from(first.outcome.signal == Some(9));
        machine.finalize(Contestant::Peer)?.outcome.success().with_context(|| format!("killed at {name} {number}"))?;
        machine.boot_default()?;
        let status = machine.check("ostree admin status")?;
        ensure!(status.contains("Version: 2\n"), "killed at {name} {number}: {status}");
        machine.check(
            "entry=$(cat /boot/loader/entries/ostree-2.conf)
             link=$(echo \"$entry\" | sed -n 's/.* ostree=\\([^ ]*\\).*/\\1/p')
             cmp /boot$(echo \"$entry\" | sed -n 's/^linux //p') /sysroot$link/usr/lib/modules/*/vmlinuz
             cmp /boot$(echo \"$entry\" | sed -n 's/^initrd //p') /sysroot$link/usr/lib/modules/*/initramfs.img",
        )?;
    }
    ensure!(killed > 10, "only {killed} runs were killed");
    Ok(())
}

/// What a killed run has kept counts only as long as nothing else has happened.
pub(crate) fn what_an_interrupted_run_kept_is_void_when_something_else_happened(guest: Guest) -> Result<()> {
    let story =
        Story::named("interrupted").tree("os/next", "2", "kernel 2").tree("os/other", "3", "kernel 3").stage("os/next");
    let gone = "mount -o remount,rw /sysroot; cd /sysroot/ostree/deploy/os/deploy; for d in *.0; do \
        test $(stat -c %i $d) = $(stat -c %i /) || { chattr -i $d; rm -r $d; }; done";
    for (happened, said, version) in [
        ("ostree admin deploy --os=os os/other", "the system changed since; stage it again", "3"),
        (gone, "the system changed since; stage it again", "1"),
        ("ostree admin deploy --stage os/other", "finalized /ostree/deploy/os/deploy/", "3"),
        // Nothing else: it is begun again.
        ("true", "an earlier run was interrupted: starting again", "2"),
    ] {
        let machine = story.staged(guest)?.copy()?;
        let killed = machine.strace(Contestant::Ours, &["-e", "inject=syncfs:signal=KILL", "-o", "/dev/null"])?;
        ensure!(killed.outcome.signal == Some(9), "{:?}", killed.outcome);
        let status = machine.check("ostree admin status")?;
        ensure!(!status.contains("(staged)"), "nobody takes it for staged any more: {status}");
        machine.check(happened)?;
        let second = machine.finalize(Contestant::Ours)?;
        ensure!(
            second.outcome.code == Some(0) && second.outcome.stderr.contains(said),
            "{happened}: {:?}",
            second.outcome
        );
        let left = machine.run_ostree().join("staged-deployment-finalizing");
        ensure!(!left.exists(), "{happened}: it is still kept");
        machine.boot_default()?;
        let status = machine.check("ostree admin status")?;
        ensure!(status.contains(&format!("Version: {version}\n")), "{happened}: {status}");
    }
    Ok(())
}
