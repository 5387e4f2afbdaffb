//! What is said about the merge of `/etc`: libostree's words where monitoring looks for them, and the cure.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Story};
use qemu_tests::guest::Guest;

use crate::ours::{boots_version, plan_json, staged};

pub(crate) fn special_files_are_told_in_the_peers_words(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check("mkfifo /etc/fifo /etc/conf.d/fifo; mknod /etc/device c 1 3")?;
    let words = ["fifo", "conf.d/fifo", "device"]
        .map(|path| format!("Ignoring non-regular/non-symlink file found during /etc merge: {path}"));
    let peers = machine.another()?.finalize(Contestant::Peer)?;
    let ours = machine.finalize(Contestant::Ours)?;
    for words in words {
        let told = peers.journal.iter().any(|message| message.get("MESSAGE") == Some(&words));
        ensure!(told, "the peer does not say {words:?}: {:#?}", peers.journal);
        let told = ours.outcome.stderr.lines().any(|line| line.ends_with(&words));
        ensure!(ours.outcome.code == Some(0) && told, "no {words:?}: {:?}", ours.outcome);
    }
    ensure!(
        ours.outcome.stderr.contains("/etc/conf.d/fifo is a device, fifo or socket and is not copied"),
        "{:?}",
        ours.outcome
    );
    Ok(())
}

pub(crate) fn conflicts_are_told_in_the_peers_words_and_with_the_files(guest: Guest) -> Result<()> {
    let machine = Story::named("conflict-words")
        .first_tree("echo 127.0.0.1 >usr/etc/hosts; mkdir usr/etc/certs.d; echo shipped >usr/etc/certs.d/shipped")
        .tree(
            "os/next",
            "2",
            "kernel 2; rm -r usr/etc/hosts usr/etc/certs.d; mkdir usr/etc/hosts; ln -s /usr/share/certs usr/etc/certs.d",
        )
        .stage("os/next")
        .staged(guest)?
        .copy()?;
    machine.check("echo mine >>/etc/hosts; echo mine >/etc/certs.d/mine; mkdir /etc/certs.d/x; : >/etc/certs.d/x/y")?;
    let json = plan_json(&machine, "")?;
    let conflicts = json.pointer("/etc/conflicts").and_then(|conflicts| conflicts.as_array());
    ensure!(conflicts.is_some_and(|conflicts| conflicts.len() == 2), "{json:#}");
    let words = "Modified config file newly defaults to directory 'hosts', cannot merge";
    let peers = machine.another()?.finalize(Contestant::Peer)?.outcome;
    ensure!(peers.stderr.contains(words), "{peers:?}");
    let ours = machine.finalize(Contestant::Ours)?.outcome;
    for words in [words, "a link in the new tree; this machine's files in it: /etc/certs.d/mine, /etc/certs.d/x/y; "] {
        ensure!(ours.code == Some(1) && ours.stderr.contains(words), "no {words:?}: {ours:?}");
    }
    machine.check("mkdir /var/mine; mv /etc/hosts /etc/certs.d/mine /etc/certs.d/x /var/mine")?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&machine, "2")?;
    ensure!(machine.check("readlink /etc/certs.d")? == "/usr/share/certs\n");
    Ok(())
}

/// What `systemctl status` of the prepare unit shows at 80 columns, typed.
pub(crate) fn a_conflict_comes_with_the_command_that_ends_it(guest: Guest) -> Result<()> {
    let machine = Story::named("conflict-command")
        .first_tree("echo 127.0.0.1 >usr/etc/hosts")
        .tree("os/next", "2", "kernel 2; rm -r usr/etc/hosts; mkdir usr/etc/hosts")
        .stage("os/next")
        .staged(guest)?
        .copy()?;
    let script = "echo mine >>/etc/hosts; : >/run/journal; JOURNAL_STREAM=$(stat -c %d:%i /run/journal) \
        /usr/lib/firstroot/ostree-finalize-staged --prepare 2>/run/journal; cat /run/journal";
    let outcome = machine.run(script)?;
    let lines: Vec<&str> = outcome.stdout.lines().filter_map(|line| line.strip_prefix("<3>")).collect();
    let typed = lines.iter().find_map(|line| line.strip_prefix("  mv ")).unwrap_or_default();
    ensure!(typed == "/etc/hosts /etc/hosts.mine", "{outcome:?}");
    let short: Vec<&&str> = lines.iter().skip_while(|line| !line.starts_with("/etc/hosts: ")).collect();
    let (last, short) = short.split_last().context("no lines")?;
    ensure!(last.starts_with("error: /etc/hosts is a file"), "{outcome:?}");
    // Time, host and program take 40 columns.
    ensure!(short.len() >= 3 && short.iter().all(|line| line.chars().count() <= 40), "{outcome:?}");
    machine.check(&format!("mv {typed}"))?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&machine, "2")?;
    // A file that was moved away is one that the machine has removed.
    let of_the_update = "for tree in /sysroot/ostree/deploy/os/deploy/*.0; do \
        if [ -d $tree/usr/etc/hosts ]; then tail -n 1 $tree/etc/hosts.mine; fi; done";
    ensure!(machine.check(of_the_update)? == "mine\n");
    Ok(())
}

pub(crate) fn a_tree_without_usr_etc_is_to_be_rebuilt(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check(
        "for d in /sysroot/ostree/deploy/os/deploy/*.0; do \
            test $(stat -c %i $d) = $(stat -c %i /) || rm -r $d/etc $d/usr/etc; done",
    )?;
    for arguments in [&["--prepare"][..], &[]] {
        let outcome = machine.finalize_with(Contestant::Ours, &[], arguments)?.outcome;
        let cure = "has neither etc nor usr/etc; rebuild the tree with usr/etc and stage the update again";
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(cure), "{outcome:?}");
    }
    Ok(())
}

/// People make it with `touch`, to have the service run.
pub(crate) fn an_empty_staged_file_is_nothing_staged(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check(": >/run/ostree/staged-deployment")?;
    for contestant in [Contestant::Peer, Contestant::Ours] {
        let machine = machine.another()?;
        let outcome = machine.finalize(contestant)?.outcome;
        ensure!(outcome.code == Some(0), "{contestant:?}: {outcome:?}");
        if contestant == Contestant::Ours {
            let said = "/run/ostree/staged-deployment is empty: no deployment is staged";
            ensure!(outcome.stderr.contains(said), "{outcome:?}");
        }
        boots_version(&machine, "1")?;
    }
    Ok(())
}

pub(crate) fn an_empty_file_does_not_take_the_place_of_an_interrupted_run(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let options = ["-e", "inject=syncfs:signal=KILL", "-o", "/dev/null"];
    for _ in 0..2 {
        let killed = machine.strace(Contestant::Ours, &options)?.outcome;
        ensure!(killed.signal == Some(9), "{killed:?}");
        machine.check("touch /run/ostree/staged-deployment")?;
    }
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&machine, "2")
}
