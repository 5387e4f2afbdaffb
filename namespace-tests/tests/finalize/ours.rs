//! Our finalizer, from the staged state to the next boot, and what the peer makes of what it leaves.

use std::fs;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Filesystem, Listing, Machine, Story, compare, listing, show};
use qemu_tests::guest::Guest;
use serde_json::Value;

use super::pause::moments;

/// A kernel of its own, staged; `/boot` on the physical root.
pub(crate) fn staged(guest: Guest) -> Result<Machine> {
    Story::new_kernel().staged(guest)?.copy()
}

/// The same with `/boot` on a filesystem of its own.
pub(crate) fn separate_boot() -> Story {
    Story::named("separate").with_boot_on(Filesystem::Ext4).tree("os/next", "2", "kernel 2").stage("os/next")
}

/// Runs ours with arguments; what it said, if it succeeded.
pub(crate) fn ours(machine: &Machine, arguments: &[&str]) -> Result<String> {
    let finalized = machine.finalize_with(Contestant::Ours, &[], arguments)?;
    finalized.outcome.clone().success()?;
    Ok(format!("{}{}", finalized.outcome.stdout, finalized.outcome.stderr))
}

/// What `--plan --json` prints, which is what its schema says. `as_whom` stands before the command.
pub(crate) fn plan_json(machine: &Machine, as_whom: &str) -> Result<Value> {
    let printed = machine.check(&format!("{as_whom} /usr/lib/firstroot/ostree-finalize-staged --plan --json"))?;
    let json = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    json_schemas::require("finalize-staged-plan", &json)?;
    Ok(json)
}

/// The default is booted, and is this version.
pub(crate) fn boots_version(machine: &Machine, version: &str) -> Result<()> {
    machine.boot_default()?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.starts_with("* os ") && status.contains(&format!("Version: {version}\n")), "{status}");
    Ok(())
}

pub(crate) fn the_new_system_boots_with_the_machines_etc(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check("echo mine >/etc/hostname")?;
    let said = ours(&machine, &[])?;
    for phase in [
        "finalized /ostree/deploy/os/deploy/",
        " ms: lock ",
        "plan ",
        "merge ",
        "kernel ",
        "entries ",
        "sync ",
        "swap and sync ",
        "clean ",
    ] {
        ensure!(said.contains(phase), "no {phase:?}: {said}");
    }
    ensure!(said.lines().filter(|line| line.contains(" ms")).count() == 1, "one line: {said}");
    boots_version(&machine, "2")?;
    ensure!(machine.check("cat /etc/hostname")? == "mine\n");
    Ok(())
}

/// All that an administrator does with `ostree`, on what ours wrote, and then another update.
pub(crate) fn the_peer_takes_it_for_its_own(guest: Guest) -> Result<()> {
    let machine = Story::named("interop")
        .tree("os/next", "2", "kernel 2")
        .tree("os/last", "3", "kernel 3")
        .stage("os/next")
        .staged(guest)?
        .copy()?;
    ours(&machine, &[])?;
    boots_version(&machine, "2")?;
    let status = machine.check(
        "ostree fsck --quiet
         ostree admin pin 1
         ostree admin status
         ostree admin pin --unpin 1
         ostree admin set-default 1
         ostree admin set-default 1
         ostree admin cleanup
         ostree admin deploy --os=os os/last
         ostree admin undeploy 0
         ostree admin deploy --stage os/last
         ostree admin status",
    )?;
    ensure!(status.contains("Pinned: yes") && status.contains("(staged)") && status.contains("(rollback)"), "{status}");
    ours(&machine, &[])?;
    boots_version(&machine, "3")?;
    // And the other way round.
    machine.check("ostree admin deploy --stage os/next")?;
    machine.finalize(Contestant::Peer)?.outcome.success()?;
    boots_version(&machine, "2")?;
    machine.check(
        "ostree admin deploy --stage os/last && ostree admin upgrade --allow-downgrade || true; ostree fsck --quiet",
    )?;
    Ok(())
}

pub(crate) fn a_locked_deployment_waits(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check("touch /run/ostree/staged-deployment-locked")?;
    for arguments in [&[][..], &["--prepare"]] {
        let said = ours(&machine, arguments)?;
        ensure!(said.contains("Not finalizing; deployment is locked for finalization"), "{said}");
    }
    let json = plan_json(&machine, "")?;
    ensure!(json.get("locked") == Some(&Value::Bool(true)) && json.get("staged") == Some(&Value::Null), "{json:#}");
    machine.check("rm /run/ostree/staged-deployment-locked")?;
    ours(&machine, &[])?;
    ensure!(plan_json(&machine, "")?.get("staged") == Some(&Value::Null));
    let said = ours(&machine, &[])?;
    ensure!(said.contains("no deployment is staged: nothing to do"), "{said}");
    boots_version(&machine, "2")
}

/// In the newer form of libostree 2026 the lock is in the staged file.
pub(crate) fn a_lock_in_the_staged_file_counts(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let path = machine.run_ostree().join("staged-deployment");
    let mut state = ostree_formats::staged_state::StagedState::from_bytes(&fs::read(&path)?)?;
    state.locked = true;
    fs::write(&path, state.to_bytes())?;
    let said = ours(&machine, &[])?;
    ensure!(said.contains("is locked"), "{said}");
    Ok(())
}

/// The default entry's kernel and initramfs are those of its deployment.
pub(crate) fn is_what_the_tree_has(machine: &Machine) -> Result<()> {
    machine.check(
        "entry=$(cat /boot/loader/entries/ostree-2.conf)
         link=$(echo \"$entry\" | sed -n 's/.* ostree=\\([^ ]*\\).*/\\1/p')
         cmp /boot$(echo \"$entry\" | sed -n 's/^linux //p') /sysroot$link/usr/lib/modules/*/vmlinuz
         cmp /boot$(echo \"$entry\" | sed -n 's/^initrd //p') /sysroot$link/usr/lib/modules/*/initramfs.img
         test $(ls -A /boot$(dirname $(echo \"$entry\" | sed -n 's/^linux //p')) | wc -l) = 2",
    )?;
    Ok(())
}

/// A kernel that is in `/boot` already, under the name of what is staged, and not whole.
pub(crate) fn a_damaged_kernel_in_boot_is_repaired(guest: Guest) -> Result<()> {
    let story = Story::named("same-kernel")
        .with_boot_on(Filesystem::Ext4)
        .tree("os/next", "2", "echo 2 >usr/etc/x")
        .stage("os/next");
    let machine = story.staged(guest)?.copy()?;
    machine.check("for f in /boot/ostree/os-*/initramfs*; do echo x | dd of=$f conv=notrunc 2>/dev/null; done")?;
    let said = ours(&machine, &[])?;
    ensure!(said.contains("is damaged or missing: installing it again"), "{said}");
    is_what_the_tree_has(&machine)?;
    boots_version(&machine, "2")
}

/// `--plan` says what will be done, changes nothing, and needs no root for what anybody may read.
pub(crate) fn a_plan_says_what_will_be_done_and_changes_nothing(guest: Guest) -> Result<()> {
    let machine = separate_boot().staged(guest)?.copy()?;
    machine.check("echo mine >/etc/hostname; echo mine >>/etc/group; rm /etc/conf.d/00001.conf; mkfifo /etc/fifo; chmod 700 /etc/shadow")?;
    let before = disk(&machine)?;
    let plan = ours(&machine, &["--plan"])?;
    for line in [
        "staged: /ostree/deploy/os/deploy/",
        ": 1 added, 2 modified, 1 removed, 0 conflicts\n",
        "  added: /etc/hostname\n",
        "  modified: /etc/group\n",
        "  modified: /etc/shadow\n",
        "  removed: /etc/conf.d/00001.conf\n",
        "  not carried over: /etc/fifo\n",
        "  entries/ostree-2.conf\n",
        "    title Small System 2 (ostree:0)\n",
        "  installed: /boot/ostree/os-",
    ] {
        ensure!(plan.contains(line), "no {line:?}:\n{plan}");
    }
    let json = plan_json(&machine, "setpriv --reuid=1000 --regid=1000 --clear-groups")?;
    let etc = json.get("etc").context("etc")?;
    ensure!(etc.get("added").is_some_and(|added| *added == serde_json::json!(["/etc/hostname"])), "{json:#}");
    ensure!(json.get("boot-bytes").and_then(Value::as_u64).is_some_and(|bytes| bytes > 1 << 20), "{json:#}");
    let found = compare(&disk(&machine)?, &before);
    ensure!(found.is_empty(), "changed by a plan\n{}", show(&found));
    Ok(())
}

fn disk(machine: &Machine) -> Result<Listing> {
    let nothing = machine.run_with_journal("true")?;
    let mut listing = listing(machine, &nothing)?;
    listing.remove("ostree/lock");
    Ok(listing)
}

/// Files come and go while the merge runs: nothing is lost of the others, and the update is not aborted.
pub(crate) fn files_that_vanish_and_change_during_the_merge_do_no_harm(guest: Guest) -> Result<()> {
    let story = Story::named("busy")
        .first_tree("mkdir -p usr/etc/busy.d; many_files usr/etc/busy.d 300")
        .tree("os/next", "2", "kernel 2")
        .stage("os/next");
    let machine = story.staged(guest)?.copy()?;
    machine.check("for f in /etc/busy.d/*; do echo mine >>$f; done; mkdir /etc/own.d; seq 1 200 | while read n; do echo $n >/etc/own.d/$n; done")?;
    for moment in moments(&machine, "", &["/busy.d", "/own.d"], 6)? {
        let machine = machine.another()?;
        // What a service does that is still being stopped.
        let outcome = moment.run(
            &machine,
            "",
            "set -e; cd /etc; rm -r own.d; for f in busy.d/000*; do rm $f; mkdir $f; done; \
             for f in busy.d/001*; do ln -sf /nowhere $f; done; for f in busy.d/002*; do echo again >$f.new; mv $f.new $f; done",
        )?;
        ensure!(outcome.code == Some(0), "{moment:?}: {outcome:?}");
        boots_version(&machine, "2")?;
        // Those that nobody touched meanwhile.
        machine.check("for f in /etc/busy.d/003*; do test -f $f && tail -1 $f | grep -qx mine; done")?;
    }
    Ok(())
}

/// What is not ours is left to `ostree`, before anything is changed, and the journal says why.
pub(crate) fn what_is_not_ours_is_left_to_ostree(guest: Guest) -> Result<()> {
    for (story, arrange, why) in [
        (
            Story::named("zipl"),
            "ostree config set sysroot.bootloader zipl",
            "the boot loader zipl (sysroot.bootloader) is",
        ),
        (
            Story::named("lilo"),
            "sed -i s/^bootloader=.*/bootloader=lilo/ /sysroot/ostree/repo/config",
            "sysroot.bootloader=lilo: must be auto",
        ),
    ] {
        let story = story.tree("os/next", "2", "kernel 2").stage("os/next");
        let machine = story.staged(guest)?.copy()?;
        machine.check(arrange)?;
        let before = disk(&machine)?;
        // Where there is nobody to leave it to: an error, told beforehand as well.
        for arguments in ["", "--prepare"] {
            let outcome = machine.run(&format!(
                "mount --bind /dev/null /usr/bin/ostree; /usr/lib/firstroot/ostree-finalize-staged {arguments}"
            ))?;
            let said = &outcome.stderr;
            ensure!(
                outcome.code == Some(1) && said.contains(why) && said.contains("ostree must finalize this update"),
                "{outcome:?}"
            );
        }
        let mut after = disk(&machine)?;
        after.remove("boot/ostree/finalize-failure.stamp");
        let found = compare(&after, &before);
        ensure!(found.is_empty(), "{}", show(&found));
        let prepared = ours(&machine, &["--prepare"])?;
        ensure!(prepared.contains("ostree will finalize this update at shutdown"), "{prepared}");
        let finalized = machine.finalize(Contestant::Ours)?;
        ensure!(
            finalized.outcome.stderr.contains("running /usr/bin/ostree admin finalize-staged instead"),
            "{:?}",
            finalized.outcome
        );
    }
    Ok(())
}

/// What libostree's and bootc's own tools put into an origin.
pub(crate) fn a_deployment_of_a_container_image_is_one_like_others(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.with_disk(|root| {
        for entry in fs::read_dir(root.join("ostree/deploy/os/deploy"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "origin") {
                let text = "[origin]\ncontainer-image-reference=ostree-unverified-registry:quay.io/x/y:latest\n";
                fs::write(path, text)?;
            }
        }
        Ok(())
    })?;
    let path = machine.run_ostree().join("staged-deployment");
    let mut state = ostree_formats::staged_state::StagedState::from_bytes(&fs::read(&path)?)?;
    state.kargs = Some(["root=LABEL=x", "rw", "console=tty0", "console=ttyS0"].map(str::to_owned).to_vec());
    state.bootconfig_extra.insert("x-options-source".to_owned(), "bootc".to_owned());
    state.bootconfig_extra.insert("linux".to_owned(), "/theirs".to_owned());
    fs::write(&path, state.to_bytes())?;
    ours(&machine, &[])?;
    let entry = machine.check("cat /boot/loader/entries/ostree-2.conf")?;
    ensure!(entry.contains("\nx-options-source bootc\n") && !entry.contains("/theirs"), "{entry}");
    ensure!(
        entry.contains("\noptions root=LABEL=x rw console=tty0 console=ttyS0 ostree=/ostree/boot.0/os/"),
        "{entry}"
    );
    machine.boot_default()?;
    machine.check("ostree admin status")?;
    Ok(())
}

/// Clean-up that fails is a warning, and is done by the next one.
pub(crate) fn what_cannot_be_removed_is_removed_next_time(guest: Guest) -> Result<()> {
    let disk = Story::named("clean-later")
        .tree("os/next", "2", "kernel 2")
        .tree("os/later", "3", "kernel 3")
        .stage("os/next")
        .reboot()
        .stage("os/later")
        .staged(guest)?;
    let failing = |machine: &Machine, call: usize, arguments: &[&str]| {
        let inject = format!("inject=unlinkat:error=EIO:when={call}+");
        machine.finalize_with(Contestant::Ours, &["-e", "trace=unlinkat", "-e", &inject, "-o", "/dev/null"], arguments)
    };
    // The old loader goes at shutdown, with the last of all calls that remove.
    let mut said = String::new();
    let mut machine = disk.copy()?;
    for call in (2..40).rev() {
        let finalized = failing(&machine, call, &[])?.outcome;
        ensure!(finalized.code == Some(0), "{call}: {finalized:?}");
        said = finalized.stderr;
        if !said.is_empty() && said.contains("the next update removes it") {
            break;
        }
        machine = disk.copy()?;
    }
    ensure!(said.contains("the next update removes it"), "{said}");
    boots_version(&machine, "3")?;
    // Immutable files in the oldest deployment are no obstacle.
    machine.check("d=$(ls -d /sysroot/ostree/deploy/os/deploy/*.0 | while read d; do test -e $d/usr/lib/modules && \
        test $(stat -c %i $d) != $(stat -c %i /) && echo $d; done | head -1); mount -o remount,rw /sysroot; chattr -i $d; \
        touch $d/immutable; chattr +i $d/immutable $d")?;
    let names = || machine.with_disk(|root| Ok(fs::read_dir(root.join("ostree/deploy/os/deploy"))?.count()));
    let cleaned = failing(&machine, 20, &["--clean"])?;
    ensure!(cleaned.outcome.code == Some(0), "{:?}", cleaned.outcome);
    ensure!(cleaned.outcome.stderr.contains("the next boot tries again"), "{:?}", cleaned.outcome);
    ensure!(names()? > 4, "the old deployment has gone");
    ours(&machine, &["--clean"])?;
    ensure!(names()? == 4, "{} names where two deployments and their origins are", names()?);
    machine.check("ostree admin deploy --stage os/next")?;
    ours(&machine, &[])?;
    let loaders = machine.check("ls -d /boot/loader.*")?;
    ensure!(loaders.lines().count() == 1, "{loaders}");
    boots_version(&machine, "2")
}

/// A small directory is inside its inode on XFS, and moves to a block when it grows, which a boot loader that does not replay the
/// journal can see half of. Ours has been in a block since the first update, and stays there.
pub(crate) fn on_xfs_the_directory_of_kernels_does_not_move(guest: Guest) -> Result<()> {
    let story = Story::named("xfs-directory")
        .on(Filesystem::Xfs)
        .tree("os/next", "2", "kernel 2")
        .tree("os/last", "3", "kernel 3")
        .stage("os/next");
    let machine = story.staged(guest)?.copy()?;
    ensure!(machine.check("stat -c %b /boot/ostree")? == "0\n", "it is in its inode to begin with");
    ours(&machine, &[])?;
    let block = "stat -c '%b %i' /boot/ostree";
    let first = machine.check(block)?;
    ensure!(!first.starts_with("0 "), "it is still in its inode: {first}");
    boots_version(&machine, "2")?;
    // Its kernels are the files that they were, and the peer still knows them.
    machine.check("ostree admin undeploy 1; ostree admin deploy --stage os/last; test ! -e /boot/ostree.new")?;
    ours(&machine, &[])?;
    ensure!(machine.check(block)? == first, "it has moved");
    boots_version(&machine, "3")
}
