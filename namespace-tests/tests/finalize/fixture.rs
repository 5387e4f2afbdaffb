//! The test bed itself: what it shows is what `ostree` sees on a real machine.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Filesystem, Story};
use qemu_tests::guest::Guest;

pub(crate) fn the_booted_system_is_one_to_ostree(guest: Guest) -> Result<()> {
    let machine = Story::named("nothing-staged").staged(guest)?.copy()?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.starts_with("* os ") && status.contains("Version: 1\n"), "{status}");
    machine.check("touch /etc/new /var/new")?;
    for read_only in ["/usr/new", "/new"] {
        let outcome = machine.run(&format!("touch {read_only}"))?;
        ensure!(outcome.code == Some(1), "{read_only} can be made");
    }
    machine.check("test -e /etc/new; test -e /var/new; test -d /sysroot/ostree/repo; test -d /boot/loader/entries")?;
    Ok(())
}

pub(crate) fn what_is_staged_is_still_staged_in_a_copy(guest: Guest) -> Result<()> {
    let disk = Story::new_kernel().staged(guest)?;
    for machine in [disk.copy()?, disk.copy()?.another()?] {
        ensure!(machine.run_ostree().join("staged-deployment").exists());
        let status = machine.check("ostree admin status")?;
        ensure!(status.contains("(staged)") && status.contains("\n* os "), "{status}");
        machine.check("rm /run/ostree/staged-deployment")?;
    }
    Ok(())
}

pub(crate) fn the_peer_finalizes_and_the_new_system_boots(guest: Guest) -> Result<()> {
    let machine = Story::new_kernel().staged(guest)?.copy()?;
    machine.check("echo mine >/etc/hostname")?;
    machine.finalize(Contestant::Peer)?.outcome.success()?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.contains("(pending)"), "until it is switched off, the old system runs: {status}");
    machine.boot_default()?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.starts_with("* os ") && status.contains("Version: 2\n"), "{status}");
    ensure!(status.contains("(rollback)"), "{status}");
    ensure!(machine.check("cat /etc/hostname")? == "mine\n");
    let names = machine.with_disk(|root| {
        let entries = std::fs::read_dir(root.join("boot/loader/entries"))?;
        Ok(entries.flatten().map(|entry| entry.file_name()).collect::<Vec<_>>().len())
    })?;
    ensure!(names == 2, "{names} entries");
    Ok(())
}

pub(crate) fn the_journal_is_heard(guest: Guest) -> Result<()> {
    let machine = Story::new_kernel().staged(guest)?.copy()?;
    let finalized = machine.finalize(Contestant::Peer)?;
    let begun = finalized
        .journal
        .iter()
        .find(|message| message.get("MESSAGE_ID").is_some_and(|id| id == "e8646cd63dff4625b77909a8e7a40994"));
    let begun = begun.with_context(|| format!("{:#?}", finalized.journal))?;
    ensure!(begun.get("OSTREE_OSNAME").is_some_and(|name| name == "os"), "{begun:?}");
    Ok(())
}

pub(crate) fn a_program_can_be_made_to_fail(guest: Guest) -> Result<()> {
    let machine = Story::new_kernel().staged(guest)?.copy()?;
    let killed = machine.strace(Contestant::Peer, &["-e", "inject=unlinkat:signal=KILL"])?;
    ensure!(killed.outcome.signal == Some(9), "{:?}", killed.outcome);
    let refused = machine.strace(Contestant::Peer, &["-e", "inject=mkdirat:error=ENOSPC"])?;
    ensure!(refused.outcome.stderr.contains("No space left"), "{:?}", refused.outcome);
    Ok(())
}

pub(crate) fn a_frozen_filesystem_is_noticed(guest: Guest) -> Result<()> {
    let machine = Story::named("nothing-staged").staged(guest)?.copy()?;
    let error = machine.run("fsfreeze --freeze /sysroot").err().context("nobody noticed")?;
    ensure!(error.to_string().contains("left frozen: /sysroot"), "{error:#}");
    machine.check("true")?;
    Ok(())
}

pub(crate) fn every_filesystem_works(guest: Guest) -> Result<()> {
    for story in [
        Story::new_kernel().on(Filesystem::Xfs),
        Story::new_kernel().on(Filesystem::Btrfs),
        Story::new_kernel().with_boot_on(Filesystem::Ext4),
        Story::new_kernel().with_boot_on(Filesystem::Xfs),
    ] {
        let name = format!("new-kernel-{}-{:?}", story.filesystem.name(), story.boot).to_lowercase();
        let disk = Story { name: name.replace(['(', ')'], "-"), ..story }.staged(guest)?;
        let (first, second) = (disk.copy()?, disk.copy()?);
        let place = second.with_disk(|_| first.finalize(Contestant::Peer));
        place?.outcome.success()?;
        first.boot_default()?;
        let status = first.check("ostree admin status")?;
        ensure!(status.contains("Version: 2\n"), "{name}: {status}");
    }
    Ok(())
}
