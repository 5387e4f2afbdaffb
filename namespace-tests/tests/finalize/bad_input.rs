//! What is damaged, missing, hostile or full: a clear error, and the old system untouched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::every_call_is_wanted;
use namespace_tests::finalize::{Contestant, Filesystem, Finalized, Listing, Machine, Story, compare, listing, show};
use ostree_formats::staged_state::StagedState;
use qemu_tests::guest::Guest;

use crate::scenarios::kernels::efi_program;

/// Everything of the old system: disks and `/run/ostree`, without the stamp, the lock, and what was said.
fn state(machine: &Machine, finalized: &Finalized) -> Result<Listing> {
    let mut listing = listing(machine, finalized)?;
    listing.retain(|path, _| {
        !path.starts_with("journal")
            && !path.starts_with("exit")
            && !path.starts_with("run-ostree/staged-deployment-finalizing")
            // What was compared; it goes with the next boot.
            && !path.starts_with("run-ostree/finalize-staged-compared.")
            && path != "ostree/lock"
            && path != "boot/ostree/finalize-failure.stamp"
    });
    Ok(listing)
}

fn nothing() -> Finalized {
    let outcome = namespace_tests::Outcome {
        code: Some(0),
        signal: None,
        stdout: String::new(),
        stderr: String::new(),
        report: None,
    };
    Finalized { outcome, journal: Vec::new() }
}

/// Finalization fails with this text, at the console and in the stamp, and changes nothing.
fn refused(machine: &Machine, text: &str) -> Result<()> {
    let before = state(machine, &nothing())?;
    let finalized = machine.finalize(Contestant::Ours)?;
    let said = &finalized.outcome.stderr;
    ensure!(finalized.outcome.code == Some(1) && said.contains(text), "no {text:?}: {:?}", finalized.outcome);
    let found = compare(&state(machine, &nothing())?, &before);
    ensure!(found.is_empty(), "changed by a failure ({text}); ours: after, peer: before\n{}", show(&found));
    let stamp = machine.with_disk(|root| Ok(fs::read_to_string(root.join("boot/ostree/finalize-failure.stamp"))?));
    let stamp = stamp.context("there is no stamp")?;
    ensure!(stamp.contains(text), "the stamp says {stamp:?}");
    Ok(())
}

fn staged(guest: Guest) -> Result<Machine> {
    Story::new_kernel().staged(guest)?.copy()
}

fn staged_file(machine: &Machine) -> std::path::PathBuf {
    machine.run_ostree().join("staged-deployment")
}

fn restage(machine: &Machine, change: impl FnOnce(&mut StagedState)) -> Result<()> {
    let mut state = StagedState::from_bytes(&fs::read(staged_file(machine))?)?;
    change(&mut state);
    Ok(fs::write(staged_file(machine), state.to_bytes())?)
}

pub(crate) fn a_staged_file_that_is_damaged(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let whole = fs::read(staged_file(&machine))?;
    for (bytes, text) in [
        (whole.iter().copied().take(whole.len() - 3).collect(), "is damaged: it is incomplete"),
        (b"[target]\nname=x\n".to_vec(), "is damaged: it is incomplete"),
    ] {
        fs::write(staged_file(&machine), bytes)?;
        refused(&machine, text)?;
    }
    fs::write(staged_file(&machine), whole)?;
    fs::OpenOptions::new().write(true).open(staged_file(&machine))?.set_len(100 << 20)?;
    refused(&machine, "cannot read /run/ostree/staged-deployment: File too large")
}

pub(crate) fn a_staged_deployment_that_is_not_there(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    restage(&machine, |state| state.target.deployment.id.deployserial = 77)?;
    refused(&machine, ".77 does not exist: stage the update again")?;
    let machine = staged(guest)?;
    restage(&machine, |state| {
        state.merge_deployment.iter_mut().for_each(|merge| merge.id.deployserial = 7);
    })?;
    refused(&machine, ".7 has no boot loader entry; stage the update again")
}

pub(crate) fn a_name_that_leads_elsewhere(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let bytes = fs::read(staged_file(&machine))?;
    let state = StagedState::from_bytes(&bytes)?;
    let name = state.target.deployment.id.to_string();
    let hostile = format!("{:.<width$}", "../../../", width = name.len());
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).context("the name")?;
    let mut bytes = bytes;
    bytes.splice(at..at + name.len(), hostile.bytes());
    fs::write(staged_file(&machine), bytes)?;
    refused(&machine, "is not the name of a deployment")
}

pub(crate) fn a_loader_link_that_is_none(guest: Guest) -> Result<()> {
    let story = Story::named("bad-loader").tree("os/next", "2", "kernel 2").stage("os/next");
    for (text, damage) in [
        (
            "loader leads to \"loader.2\", but must be a link to loader.0 or loader.1",
            (|root| {
                fs::remove_file(root.join("boot/loader"))?;
                Ok(symlink("loader.2", root.join("boot/loader"))?)
            }) as fn(&Path) -> Result<()>,
        ),
        ("loader does not exist, but must be a link", |root| Ok(fs::remove_file(root.join("boot/loader"))?)),
    ] {
        let machine = story.staged(guest)?.copy()?;
        machine.with_disk(damage)?;
        refused(&machine, text)?;
    }
    Ok(())
}

fn entries(root: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(root.join("boot/loader/entries"))? {
        let entry = entry?;
        entries.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(entries)
}

fn is(entries: &BTreeMap<String, Vec<u8>>, name: &str, content: &[u8]) -> bool {
    entries.get(name).is_some_and(|entry| entry == content)
}

/// What others put there is kept as it is, whatever it is.
pub(crate) fn entries_of_others_are_kept(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let large = vec![b'x'; 1 << 20];
    machine.with_disk(|root| {
        let directory = root.join("boot/loader/entries");
        fs::write(directory.join("windows.conf"), "title Windows\nefi /w.efi\n")?;
        fs::write(directory.join("ostree-2.conf"), "title Mine\nlinux /k\noptions quiet\n")?;
        fs::write(directory.join("large.conf"), &large)?;
        fs::write(directory.join("not-utf8.conf"), b"title \xff\n")?;
        Ok(fs::write(root.join("boot/loader/loader.conf"), "timeout 3\n")?)
    })?;
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    machine.with_disk(|root| {
        let entries = entries(root)?;
        ensure!(is(&entries, "windows.conf", b"title Windows\nefi /w.efi\n") && is(&entries, "large.conf", &large));
        ensure!(is(&entries, "not-utf8.conf", b"title \xff\n"));
        // Its name is one of ours now.
        ensure!(is(&entries, "other-ostree-2.conf", b"title Mine\nlinux /k\noptions quiet\n"), "{:?}", entries.keys());
        ensure!(fs::read(root.join("boot/loader/loader.conf"))? == b"timeout 3\n");
        Ok(())
    })?;
    machine.boot_default()?;
    ensure!(machine.check("ostree admin status")?.contains("Version: 2\n"));
    Ok(())
}

pub(crate) fn an_entry_of_ours_that_cannot_be_read(guest: Guest) -> Result<()> {
    let entry = |root: &Path, name: &str| root.join("boot/loader/entries").join(name);
    let machine = staged(guest)?;
    machine.with_disk(|root| Ok(fs::write(entry(root, "ostree-7.conf"), b"title \xff\n")?))?;
    refused(&machine, "ostree-7.conf: not UTF-8 text; repair or remove it")?;
    // Too large for an entry: it stays, and whatever it may name.
    let large = vec![b'x'; 1 << 20];
    let machine = staged(guest)?;
    machine.with_disk(|root| Ok(fs::write(entry(root, "ostree-7.conf"), &large)?))?;
    let finalized = machine.finalize(Contestant::Ours)?.outcome;
    ensure!(finalized.stderr.contains("/ostree-7.conf is too large for an entry: it is kept"), "{finalized:?}");
    finalized.success()?;
    let kept = machine.with_disk(|root| Ok(fs::read(entry(root, "ostree-7.conf"))?))?;
    ensure!(kept == large, "{} bytes are left of it", kept.len());
    Ok(())
}

pub(crate) fn an_entry_whose_deployment_is_gone_gets_another_name(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let sum = "0".repeat(64);
    machine.with_disk(|root| {
        let text = format!("title Gone\nversion 1\noptions ostree=/ostree/boot.1/os/{sum}/0\nlinux /k\n");
        Ok(fs::write(root.join("boot/loader/entries/ostree-0.conf"), text)?)
    })?;
    let finalized = machine.finalize(Contestant::Ours)?;
    let said = "it is renamed to /boot/loader/entries/other-ostree-0.conf, which libostree does not read";
    ensure!(finalized.outcome.stderr.contains(said), "{:?}", finalized.outcome);
    finalized.outcome.success()?;
    machine.boot_default()?;
    ensure!(machine.check("ostree admin status")?.contains("Version: 2\n"));
    Ok(())
}

pub(crate) fn an_origin_or_a_configuration_that_is_damaged(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.with_disk(|root| Ok(fs::write(root.join("ostree/repo/config"), "[sysroot]\nbootprefix=maybe\n")?))?;
    refused(&machine, "ostree/repo/config: sysroot.bootprefix=maybe")?;
    let machine = staged(guest)?;
    machine.with_disk(|root| {
        for entry in fs::read_dir(root.join("ostree/deploy/os/deploy"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "origin") {
                fs::write(path, "nonsense")?;
            }
        }
        Ok(())
    })?;
    refused(&machine, ".origin: line 1: \"nonsense\" is neither")
}

/// Whatever write fails for want of room, the old system is as it was, and with room again it goes on.
pub(crate) fn a_disk_that_is_full_at_any_step(guest: Guest) -> Result<()> {
    let story = Story::new_kernel().with_boot_on(Filesystem::Ext4);
    let disk = story.staged(guest)?;
    let mut refusals = 0;
    let (step, least) = if every_call_is_wanted() { (1, 15) } else { (2, 7) };
    for (call, most) in
        [("mkdirat", 24), ("symlinkat", 8), ("linkat", 4), ("renameat", 8), ("write", 14), ("openat", 0)]
    {
        for number in (1..=most).step_by(step) {
            let machine = disk.copy()?;
            machine.check("echo mine >/etc/hostname")?;
            let before = state(&machine, &nothing())?;
            let inject = format!("inject={call}:error=ENOSPC:when={number}");
            let finalized = machine.strace(Contestant::Ours, &["-e", "trace=all", "-e", &inject, "-o", "/dev/null"])?;
            let the_new_system_boots = || {
                machine.boot_default()?;
                let status = machine.check("ostree admin status; cat /etc/hostname")?;
                let good = status.contains("Version: 2\n") && status.ends_with("mine\n");
                ensure!(good, "{call} {number}: {status}");
                Ok(())
            };
            if finalized.outcome.code == Some(0) {
                // It could do without.
                the_new_system_boots()?;
                continue;
            }
            refusals += 1;
            ensure!(finalized.outcome.stderr.contains("No space left on device"), "{:?}", finalized.outcome);
            let after = state(&machine, &nothing())?;
            // The new deployment is nobody's yet: what has been done in it is done again.
            let found: Vec<_> = compare(&after, &before)
                .into_iter()
                .filter(|found| !found.path.starts_with("ostree/deploy/os/"))
                .collect();
            ensure!(found.is_empty(), "{call} {number}: ours: after, peer: before\n{}", show(&found));
            machine.finalize(Contestant::Ours)?.outcome.success().with_context(|| format!("{call} {number}"))?;
            the_new_system_boots()?;
        }
    }
    ensure!(refusals > least, "only {refusals} calls were refused");
    Ok(())
}

/// No call of a test's: a filesystem that is really full, and nothing that could go.
pub(crate) fn a_boot_that_is_really_full(guest: Guest) -> Result<()> {
    let mut story =
        Story::named("boot-full").with_boot_on(Filesystem::Ext4).tree("os/next", "2", "kernel 2").stage("os/next");
    story.boot_size = "24M".to_owned();
    let machine = story.staged(guest)?.copy()?;
    machine.check("dd if=/dev/zero of=/boot/mine bs=64k 2>/dev/null || true; sync")?;
    let before = state(&machine, &nothing())?;
    for arguments in [&[][..], &["--prepare"]] {
        let finalized = machine.finalize_with(Contestant::Ours, &[], arguments)?;
        let text = "No space left on device: /boot has ";
        ensure!(finalized.outcome.code == Some(1), "{:?}", finalized.outcome);
        ensure!(finalized.outcome.stderr.contains(text), "{:?}", finalized.outcome);
    }
    let found = compare(&state(&machine, &nothing())?, &before);
    ensure!(found.is_empty(), "ours: after, peer: before\n{}", show(&found));
    machine.check("rm /boot/mine")?;
    machine.finalize(Contestant::Ours)?.outcome.success()
}

pub(crate) fn a_lock_that_somebody_has_is_waited_for(guest: Guest) -> Result<()> {
    const HOLD: &str = "perl -e 'open(my $f, q(+>), q(/sysroot/ostree/lock)) or die; \
        my $lock = pack(q(s s x4 q q l x4), 1, 0, 0, 0, 0); fcntl($f, 37, $lock) or die; print qq(locked\\n); $| = 1; sleep shift' ";
    let machine = staged(guest)?;
    let script = |seconds: u32, arguments: &str| {
        format!(
            "{HOLD} {seconds} >/run/held & holder=$!; until test -s /run/held || ! kill -0 $holder; do :; done; \
             /usr/lib/firstroot/ostree-finalize-staged {arguments}; status=$?; kill $holder; exit $status"
        )
    };
    let outcome = machine.run(&script(20, "--lock-timeout=1"))?;
    let (begin, end) = ("error: perl (process ", ") holds the sysroot lock (waited 1 s); the update was not applied");
    let line = outcome.stderr.lines().find(|line| line.contains(begin)).unwrap_or_default();
    ensure!(outcome.code == Some(1) && line.contains(end), "{outcome:?}");
    let outcome = machine.run(&script(1, ""))?;
    let text = "waiting for the sysroot lock, which perl (process ";
    ensure!(outcome.code == Some(0) && outcome.stderr.contains(text), "{outcome:?}");
    Ok(())
}

pub(crate) fn without_root_or_without_ostree_nothing_is_done(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let program = "/usr/lib/firstroot/ostree-finalize-staged";
    let before = state(&machine, &nothing())?;
    let outcome = machine.run(&format!("setpriv --reuid=1000 --regid=1000 --clear-groups {program}"))?;
    ensure!(outcome.code == Some(1) && outcome.stderr.contains("finalization needs root"), "{outcome:?}");
    let outcome = machine.run(&format!("rm /run/ostree-booted; {program}"))?;
    ensure!(outcome.code == Some(1) && outcome.stderr.contains("not a booted OSTree system"), "{outcome:?}");
    let found = compare(&state(&machine, &nothing())?, &before);
    ensure!(found.is_empty(), "{}", show(&found));
    Ok(())
}

pub(crate) fn conflicts_in_etc_are_named_and_nothing_is_changed(guest: Guest) -> Result<()> {
    let machine = Story::named("conflict")
        .tree("os/next", "2", "kernel 2; rm usr/etc/hosts; mkdir -p usr/etc/hosts usr/etc/own.d")
        .first_tree("echo 127.0.0.1 >usr/etc/hosts")
        .stage("os/next")
        .staged(guest)?
        .copy()?;
    machine.check("echo mine >>/etc/hosts; echo mine >/etc/own.d")?;
    let text = "/etc/hosts is a file on this machine (changed) but a directory in the new tree; /etc/own.d is a file";
    refused(&machine, text)?;
    let prepared = machine.finalize_with(Contestant::Ours, &[], &["--prepare"])?;
    ensure!(prepared.outcome.code == Some(1) && prepared.outcome.stderr.contains(text), "{:?}", prepared.outcome);
    // And then somebody acts on it.
    machine.check("rm /etc/hosts /etc/own.d")?;
    machine.finalize(Contestant::Ours)?.outcome.success()
}

pub(crate) fn a_boot_on_fat_is_refused_by_name(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    // This kernel has no FAT: what statfs(2) says of `/boot` is made up.
    let outcome = machine.strace(
        Contestant::Ours,
        &["-e", "trace=fstatfs", "-e", "inject=fstatfs:retval=0:poke_exit=@arg2=444d000000000000", "-o", "/dev/null"],
    )?;
    ensure!(outcome.outcome.stderr.contains("/boot is a FAT filesystem"), "{:?}", outcome.outcome);
    ensure!(outcome.outcome.code == Some(1));
    Ok(())
}

/// What cannot be read is refused before anything is changed; what can be read is kept, whatever it is.
pub(crate) fn a_file_of_the_boot_loader_that_cannot_be_read(guest: Guest) -> Result<()> {
    let files = ["/boot/syslinux/syslinux.cfg", "/boot/loader/uEnv.txt"];
    for (file, bootloader) in files.into_iter().zip(["syslinux", "uboot"]) {
        let machine = staged(guest)?;
        machine.check(&format!("ostree config set sysroot.bootloader {bootloader}; mkdir /boot/syslinux"))?;
        for (make, reason) in [
            ("truncate -s 100M", "File too large"),
            ("mkdir", "Is a directory"),
            ("ln -s uEnv.txt", "Too many levels of symbolic links"),
            ("ln -s syslinux.cfg", "Too many levels of symbolic links"),
            ("mkfifo", "Invalid argument"),
        ] {
            if make.starts_with("ln") && !file.ends_with(make.trim_start_matches("ln -s ")) {
                continue;
            }
            machine.check(&format!("rm -rf {file}; {make} {file}"))?;
            refused(&machine, &format!("cannot read {file}: {reason}"))?;
        }
        machine.check(&format!("rm -rf {file}; printf 'mine\\r\\n\\000\\377LABEL\\n\\tKERN' >{file}"))?;
        machine.finalize(Contestant::Ours)?.outcome.success()?;
        let name = file.rsplit('/').next().unwrap_or_default();
        let text = machine.check(&format!("od -An -c /boot/loader/{name} | tr -d ' \\n'"))?;
        ensure!(text.contains("\\0377LABEL\\n\\tKERN\\n") && text.contains("/boot/ostree/os-"), "{text}");
    }
    Ok(())
}

/// A disk that nobody can make writable.
pub(crate) fn a_disk_that_stays_read_only(guest: Guest) -> Result<()> {
    for place in ["/sysroot", "/boot"] {
        let story =
            Story::named("read-only").with_boot_on(Filesystem::Ext4).tree("os/next", "2", "kernel 2").stage("os/next");
        let machine = story.staged(guest)?.copy()?;
        let outcome = machine.run(&format!(
            "mount -o remount,ro {place}; exec /run/fixture/tools/strace -f -qq -o /dev/null -e trace=fsconfig \
             -e inject=fsconfig:error=EROFS /usr/lib/firstroot/ostree-finalize-staged"
        ))?;
        let text = format!("cannot remount writable {place}: Read-only file system");
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(&text), "{outcome:?}");
        let again = machine.finalize(Contestant::Ours)?;
        ensure!(again.outcome.code == Some(0), "{:?}", again.outcome);
    }
    Ok(())
}

/// libostree lists every `ostree-….conf`; a deployment that is in one is in use.
pub(crate) fn an_entry_with_an_odd_name_is_one_of_the_list(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.with_disk(|root| {
        let entries = root.join("boot/loader/entries");
        Ok(fs::rename(entries.join("ostree-1.conf"), entries.join("ostree-mine+x.conf"))?)
    })?;
    ensure!(machine.check("ostree admin status")?.contains("* os "), "the peer lists it");
    machine.finalize(Contestant::Ours)?.outcome.success()?;
    machine.boot_default()?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.contains("Version: 2\n") && status.contains("Version: 1\n"), "{status}");
    Ok(())
}

/// A machine that is said to boot from an ESP, and whose ESP cannot be written: what boots must not be removed behind its back.
pub(crate) fn an_esp_that_is_not_there(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    for (conf, text) in [
        (
            "[esp]\nenabled=yes\npartition=/dev/nowhere\n",
            "[esp] partition=/dev/nowhere in /etc/ostree/esp.conf: there is no such",
        ),
        ("[esp]\nenabled=yes\npartition=/dev/zero\n", "there is no such block device"),
    ] {
        machine
            .check(&format!("mkdir -p /etc/ostree; printf '{}' >/etc/ostree/esp.conf", conf.replace('\n', "\\n")))?;
        refused(&machine, text)?;
    }
    // Whether there is one is not known.
    machine.check("echo nonsense >/etc/ostree/esp.conf")?;
    refused(&machine, "/etc/ostree/esp.conf: line 1: ")?;
    machine.check("rm /etc/ostree/esp.conf; mkdir /etc/ostree/esp.conf")?;
    refused(&machine, "cannot read /etc/ostree/esp.conf: ")?;
    machine.check("rmdir /etc/ostree/esp.conf")?;
    // Not asked for, or by mistake: then there is none.
    machine.check("printf '[esp]\\nenabled=perhaps\\n' >/etc/ostree/esp.conf")?;
    let outcome = machine.finalize(Contestant::Ours)?.outcome;
    ensure!(outcome.code == Some(0) && outcome.stderr.contains("it can be yes or no"), "{outcome:?}");
    Ok(())
}

/// An update that did not come up comes again: it is refused if that is wanted, until somebody allows it.
pub(crate) fn what_was_rolled_back_is_refused_until_it_is_forgotten(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let esp = "[esp]\\nenabled=yes\\npartition=/dev/nowhere\\n[rollback]\\n";
    // Of both: the booted one is not what is refused.
    machine.check(&format!(
        "mkdir -p /etc/ostree /var/lib/ostree-boot; cd /sysroot
         for path in ostree/deploy/os/deploy/*.?; do echo \"time=1 from=/$path to=/$path attempts=3\"; done >/var/lib/ostree-boot/rollbacks
         printf '{esp}refuse=yes\\n' >/etc/ostree/esp.conf"
    ))?;
    for arguments in [&["--prepare"] as &[&str], &[]] {
        let outcome = machine.finalize_with(Contestant::Ours, &[], arguments)?.outcome;
        let said = "did not come up and was rolled back; it is not installed again, since esp.conf(5) says [rollback] refuse=yes";
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(said), "{outcome:?}");
        ensure!(outcome.stderr.contains("`firstroot esp forget "), "{outcome:?}");
    }
    // Allowed, by the setting or by a person: then it is the ESP that is missing.
    let no_esp = "[esp] partition=/dev/nowhere";
    machine.check(&format!("printf '{esp}refuse=no\\n' >/etc/ostree/esp.conf"))?;
    refused(&machine, no_esp)?;
    machine.check(&format!("printf '{esp}refuse=yes\\n' >/etc/ostree/esp.conf"))?;
    machine.check("sed -i 's/$/ forgotten=yes/' /var/lib/ostree-boot/rollbacks")?;
    refused(&machine, no_esp)
}

/// A kernel with an initramfs in it: no initrd can be loaded beside it, and arguments in it count for more than those of an entry.
pub(crate) fn a_unified_kernel_that_would_not_boot(guest: Guest) -> Result<()> {
    let unified = efi_program(&[".linux", ".initrd", ".cmdline"]);
    let edit = format!("rm usr/lib/modules/6.1.0/initramfs.img; {unified} >usr/lib/modules/6.1.0/vmlinuz");
    let story = |name: &str| Story::named(name).tree("os/next", "2", &edit);
    let machine = story("unified-with-overlay")
        .then("echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/a.img os/next")
        .staged(guest)?
        .copy()?;
    for arguments in [&["--prepare"] as &[&str], &[]] {
        let outcome = machine.finalize_with(Contestant::Ours, &[], arguments)?.outcome;
        let said = "has overlay initrds, and its kernel is an image with an initramfs in it, which loads no other one";
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(said), "{outcome:?}");
    }
    let machine = story("unified-with-arguments").stage("os/next").staged(guest)?.copy()?;
    let outcome = machine.finalize_with(Contestant::Ours, &[], &["--prepare"])?.outcome;
    let said = "has kernel arguments of its own: with Secure Boot it ignores those of its entry";
    ensure!(outcome.code == Some(0) && outcome.stderr.contains(said), "{outcome:?}");
    machine.finalize(Contestant::Ours)?.outcome.success()
}

/// An image beside kernel and initramfs, which the ESP would have: the same is refused when the update is staged, and only then.
pub(crate) fn an_image_beside_a_kernel_that_would_not_boot(guest: Guest) -> Result<()> {
    let image = efi_program(&[".linux", ".initrd"]);
    let edit = format!("kernel 2; {image} >usr/lib/modules/6.1.0/virt.efi");
    let story = |name: &str, edit: &str| Story::named(name).tree("os/next", "2", edit);
    let with_overlay = story("image-with-overlay", &edit)
        .then("echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/a.img os/next");
    let several = story("several-images", &format!("{edit}; {{ {image}; echo; }} >usr/lib/modules/6.1.0/other.efi"));
    let alone = story("image", &edit);
    for (story, said) in [
        (with_overlay, "6.1.0/virt.efi loads none: deploy without --overlay-initrd, or write [esp] uki=ignore"),
        (several.stage("os/next"), "6.1.0/virt.efi; the tree must have one, or esp.conf(5) must say [esp] uki=ignore"),
        (alone.stage("os/next"), ""),
    ] {
        let machine = story.staged(guest)?.copy()?;
        // Neither the setting nor Secure Boot asks for the image.
        for (setting, is_used) in [("", false), ("uki=ignore\\n", false), ("uki=prefer\\n", true)] {
            machine.check(&format!(
                "mkdir -p /etc/ostree; printf '[esp]\\nenabled=yes\\n{setting}' >/etc/ostree/esp.conf"
            ))?;
            let outcome = machine.finalize_with(Contestant::Ours, &[], &["--prepare"])?.outcome;
            // This machine has no ESP, which is found out when the image is not refused.
            let is_refused = is_used && !said.is_empty();
            let said = if is_refused { said } else { "this machine was not booted by UEFI" };
            ensure!(outcome.code == Some(1) && outcome.stderr.contains(said), "{setting}: {outcome:?}");
        }
    }
    Ok(())
}
