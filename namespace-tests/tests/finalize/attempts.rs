//! Updates that are counted by the initramfs, where no boot loader counts: from their finalization to the message of a rollback.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use namespace_tests::attempts::{Boot, TREE, boot, boot_in};
use namespace_tests::every_call_is_wanted;
use namespace_tests::finalize::{Contestant, Filesystem, Machine, Story};
use nix::mount::{MsFlags, mount};
use ostree_formats::boot_attempts::{Count, Record};
use ostree_sysroot::list_digest;
use qemu_tests::guest::Guest;

use crate::command::put_command;
use crate::grub;
use crate::ours::ours;

const COMMAND: &str = "/run/fixture/machine/firstroot";
/// `systemctl` is not there: this asks for nothing.
const GOOD: &str = "mkdir -p /etc/ostree; printf '[rollback]\\ngood-when=sysinit\\n' >/etc/ostree/esp.conf";

/// Which tree is the update.
#[derive(Clone, Copy)]
enum Update {
    OtherKernel,
    SameKernel,
    WithoutUs,
}

fn story(update: Update) -> Story {
    let (name, edit) = match update {
        Update::OtherKernel => ("attempts", format!("{TREE}\nkernel 2")),
        Update::SameKernel => ("attempts-same-kernel", format!("{TREE}\necho two >usr/share/two")),
        Update::WithoutUs => {
            ("attempts-without-us", format!("{TREE}\nkernel 2; rm usr/lib/systemd/system/firstroot-bless.service"))
        }
    };
    let kernel = match update {
        Update::SameKernel => rustix::system::uname().release().to_string_lossy().into_owned(),
        Update::OtherKernel | Update::WithoutUs => "none".to_owned(),
    };
    Story::named(name)
        .first_tree(format!("{TREE}\nmkdir -p usr/share usr/lib/modules/{kernel}"))
        .tree("os/next", "2", edit)
        .tree("os/last", "3", format!("{TREE}\nkernel 3"))
        .stage("os/next")
}

/// A machine whose initramfs counts, and with the command.
fn machine(story: &Story, guest: Guest) -> Result<Machine> {
    let machine = story.staged(guest)?.copy()?;
    put_command(&machine)?;
    machine.check(&format!("{GOOD}; printf 'tries=2\\n' >/run/ostree/boot-count"))?;
    Ok(machine)
}

/// What is on the disk: the record, the count, and whether the list that the record names is whole.
struct Written {
    record: Record,
    count: Option<Count>,
    has_list: bool,
}

fn written(machine: &Machine) -> Result<Written> {
    machine.with_disk(|root| {
        let read = |name: &str| fs::read(root.join("ostree/boot-attempts").join(name));
        let record = Record::parse(&read("record")?)?;
        let count = Count::parse(&read("count")?)?;
        let boot = root.join("boot");
        let active = list_digest::active(fs::File::open(&boot)?)?.context("no list")?;
        let is_named = record.trial.as_ref().is_some_and(|trial| trial.list.as_ref() == Some(&active.digest));
        let names = |directory: &str| -> Result<Vec<String>> {
            let mut names: Vec<String> = Vec::new();
            for entry in fs::read_dir(boot.join(directory).join("entries"))? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names)
        };
        if is_named {
            ensure!(names("loader.firstroot")? == names("loader")?, "the record names a list that is not whole");
        }
        Ok(Written { record, count, has_list: is_named })
    })
}

fn version_of_booted(machine: &Machine) -> Result<String> {
    let status = machine.check("ostree admin status")?;
    let of_booted = status.split("* os ").nth(1).context("nothing is booted")?;
    Ok(of_booted.lines().find_map(|line| line.trim().strip_prefix("Version: ")).unwrap_or_default().to_owned())
}

fn esp(machine: &Machine, what: &str) -> Result<String> {
    let outcome = machine.run(&format!("set -e\n{COMMAND} esp {what}"))?;
    outcome.success()?;
    Ok(format!("{}{}", outcome.stdout, outcome.stderr))
}

fn assessment(machine: &Machine) -> Result<String> {
    esp(machine, "assess")?;
    machine.check("cat /run/ostree/boot-assessment")
}

fn is_rolled_back(machine: &Machine, is_told: bool) -> Result<()> {
    let outcome = machine.run(&format!(
        "set -e; {COMMAND} esp assess; cat /run/ostree/boot-assessment; test -e /run/ostree/rolled-back; cat /run/motd.d/* || true"
    ))?;
    let state = &outcome.stdout;
    ensure!(state.contains("state=rolled-back\n") && state.contains("attempts=2\ntries=2\n"), "{outcome:?}");
    ensure!(outcome.code == Some(0) && state.contains("did not come up, tried 2 times.\n") == is_told, "{outcome:?}");
    ensure!(version_of_booted(machine)? == "1");
    Ok(())
}

/// Twice it does not come up; the third boot is another one's.
fn try_in_vain(machine: &Machine) -> Result<()> {
    for attempt in [1, 2] {
        let boot = boot(machine)?;
        ensure!(boot.is_trial && boot.count == format!("tries=2\nattempt={attempt}\n"), "{}", boot.told);
        let state = assessment(machine)?;
        ensure!(state.contains("state=trial\n") && state.contains(&format!("attempts={attempt}\n")), "{state}");
        ensure!(version_of_booted(machine)? == "2");
        // As the units do in a boot that goes on for a while.
        esp(machine, "sync")?;
    }
    Ok(())
}

pub(crate) fn an_update_that_does_not_come_up_is_rolled_back(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::OtherKernel), guest)?;
    ours(&machine, &[])?;
    let before = written(&machine)?;
    ensure!(before.has_list && before.count.is_none() && before.record.boot.is_none(), "{}", before.record);
    try_in_vain(&machine)?;
    // The lists are exchanged; a test cannot reboot.
    let exchanged = boot(&machine)?;
    ensure!(exchanged.told.contains("which is the default now"), "{}", exchanged.told);
    let boot_of_older = boot(&machine)?;
    ensure!(!boot_of_older.is_trial && boot_of_older.count == "tries=2\n", "{}", boot_of_older.told);
    is_rolled_back(&machine, true)?;
    // Libostree agrees, and nothing is lost.
    let status = machine.check("ostree admin status; ostree fsck --quiet")?;
    ensure!(status.starts_with("* os ") && status.contains("Version: 2\n"), "{status}");
    // Told until the list is settled.
    boot(&machine)?;
    is_rolled_back(&machine, true)?;
    esp(&machine, "make-default")?;
    let after = written(&machine)?;
    ensure!(after.record.trial.is_none() && after.count.is_none(), "{}", after.record);
    machine.check("! test -e /boot/loader.firstroot")?;
    boot(&machine)?;
    let state = assessment(&machine)?;
    ensure!(state.contains("state=good\n") && version_of_booted(&machine)? == "1", "{state}");

    // It is tried again, and is good now.
    esp(&machine, "retry")?;
    let tried = boot(&machine)?;
    ensure!(tried.is_trial && version_of_booted(&machine)? == "2", "{}", tried.told);
    esp(&machine, "bless")?;
    let after = written(&machine)?;
    ensure!(after.record.trial.is_none() && after.record.good.len() == 2 && after.count.is_none(), "{}", after.record);
    let tried = boot(&machine)?;
    ensure!(!tried.is_trial && assessment(&machine)?.contains("state=good\n"), "{}", tried.told);
    // The next update is counted again; an older one that was good is not on trial when it is chosen.
    machine.check("ostree admin deploy --os=os os/last")?;
    esp(&machine, "sync")?;
    ensure!(written(&machine)?.has_list);
    machine.check("ostree admin set-default 1")?;
    esp(&machine, "sync")?;
    let after = written(&machine)?;
    ensure!(after.record.trial.is_none(), "{}", after.record);
    machine.check("! test -e /boot/loader.firstroot; ostree admin cleanup; ostree admin status")?;
    Ok(())
}

pub(crate) fn with_the_same_kernel_the_older_one_is_booted_at_once(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::SameKernel), guest)?;
    ours(&machine, &[])?;
    ensure!(!written(&machine)?.has_list);
    try_in_vain(&machine)?;
    for _ in 0..2 {
        let boot = boot(&machine)?;
        ensure!(!boot.is_trial && boot.told.contains("which has the same kernel"), "{}", boot.told);
        is_rolled_back(&machine, true)?;
    }
    let status = machine.check("ostree admin status")?;
    ensure!(!status.starts_with("* os "), "{status}");
    esp(&machine, "forget")?;
    is_rolled_back(&machine, false)?;
    esp(&machine, "make-default")?;
    boot(&machine)?;
    ensure!(assessment(&machine)?.contains("state=good\n"));
    let status = machine.check("ostree admin status")?;
    ensure!(status.starts_with("* os ") && status.contains("Version: 2\n"), "{status}");
    Ok(())
}

/// `/boot` is mounted by the initramfs, as the record says.
pub(crate) fn with_a_separate_boot_that_is_mounted_for_the_exchange(guest: Guest) -> Result<()> {
    const UUID: &str = "1111-2222";
    let story = Story { name: "attempts-boot".to_owned(), ..story(Update::OtherKernel) };
    let machine = machine(&story.with_boot_on(Filesystem::Ext4), guest)?;
    // Without udev its UUID is not known. It is counted all the same.
    let said = ours(&machine, &[])?;
    ensure!(said.contains("has a filesystem whose UUID udev does not know"), "{said}");
    ensure!(boot(&machine)?.is_trial);
    machine.check(&format!(
        "numbers=$(stat --format %d /boot); mkdir -p /run/udev/data
         printf 'E:ID_FS_TYPE=ext4\\nE:ID_FS_UUID={UUID}\\n' >/run/udev/data/b$((numbers / 256)):$((numbers % 256))
         {COMMAND} esp sync"
    ))?;
    let record = written(&machine)?.record;
    ensure!(record.boot.as_ref().is_some_and(|boot| boot.uuid == UUID && boot.fstype == "ext4"), "{record}");
    let second = boot(&machine)?;
    ensure!(second.is_trial && second.count == "tries=2\nattempt=2\n", "{}", second.told);
    let failed = boot(&machine)?;
    ensure!(!failed.is_trial && failed.told.contains("cannot be made the default: cannot mount"), "{}", failed.told);
    let exchanged = boot_with_disk(&machine, UUID)?;
    ensure!(exchanged.told.contains("which is the default now"), "{}", exchanged.told);
    boot(&machine)?;
    is_rolled_back(&machine, true)
}

/// The same with udev's link to the filesystem of `/boot`.
fn boot_with_disk(machine: &Machine, uuid: &str) -> Result<Boot> {
    let output = Command::new("losetup").args(["--find", "--show"]).arg(machine.boot_image()).output()?;
    ensure!(output.status.success(), "{output:?}");
    let device = String::from_utf8(output.stdout)?.trim_end().to_owned();
    let booted = boot_in(machine, || {
        let links = Path::new("/dev/disk");
        fs::create_dir_all(links)?;
        mount(Some("links"), links, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
        fs::create_dir(links.join("by-uuid"))?;
        Ok(symlink(&device, links.join("by-uuid").join(uuid))?)
    });
    let detached = Command::new("losetup").args(["--detach", &device]).status()?;
    ensure!(detached.success(), "{device} stays");
    booted
}

/// A tree that cannot say that it has come up would be taken away, good as it is.
pub(crate) fn what_is_not_counted(guest: Guest) -> Result<()> {
    let without = |guest| machine(&story(Update::WithoutUs), guest);
    let update = without(guest)?;
    ours(&update, &[])?;
    ensure!(written(&update)?.record.trial.is_none(), "it cannot say that it is good");
    let update = machine(&story(Update::OtherKernel), guest)?;
    update.check("rm /run/ostree/boot-count")?;
    ours(&update, &[])?;
    update.check("! test -e /sysroot/ostree/boot-attempts")?;
    let said = esp(&update, "sync")?;
    ensure!(said.contains("the initramfs does not count boots"), "{said}");
    Ok(())
}

pub(crate) fn an_update_that_was_rolled_back_is_refused_if_asked(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::SameKernel), guest)?;
    ours(&machine, &[])?;
    try_in_vain(&machine)?;
    boot(&machine)?;
    is_rolled_back(&machine, true)?;
    esp(&machine, "make-default")?;
    machine.check(
        "ostree admin undeploy 1; echo refuse=yes >>/etc/ostree/esp.conf; ostree admin deploy --stage os/next",
    )?;
    let refused = machine.finalize(Contestant::Ours)?;
    ensure!(refused.outcome.code == Some(1) && refused.outcome.stderr.contains("did not come up"), "{refused:?}");
    esp(&machine, "forget")?;
    ours(&machine, &[]).map(drop)
}

/// The script that GRUB starts with stays beside its entries.
pub(crate) fn a_grub_that_reads_entries_keeps_its_script(guest: Guest) -> Result<()> {
    let story = Story { name: "attempts-grub".to_owned(), ..story(Update::OtherKernel) };
    let machine = machine(&story.configured("sysroot.bootloader", "auto"), guest)?;
    machine.check(
        "mkdir -p /boot/grub2 /etc/default; echo 'blscfg' >/boot/loader/grub.cfg; ln -s ../loader/grub.cfg /boot/grub2/grub.cfg
         touch /boot/grub2/.grub2-blscfg-supported; echo GRUB_ENABLE_BLSCFG=true >/etc/default/grub",
    )?;
    ours(&machine, &[])?;
    let now = written(&machine)?;
    ensure!(now.has_list, "{}", now.record);
    machine.check("grep -q blscfg /boot/loader.firstroot/grub.cfg; rm /boot/grub2/.grub2-blscfg-supported; touch /boot/loader/entries/x.conf")?;
    // Without entries to read, and without a menu, there is no list.
    boot(&machine)?;
    let said = esp(&machine, "sync")?;
    let now = written(&machine)?;
    ensure!(said.contains("/boot/loader/grub.cfg cannot be used: no entry of its menu boots /ostree/boot."), "{said}");
    ensure!(!now.has_list, "{said}");
    machine.check("! test -e /boot/loader.firstroot").map(drop)
}

/// A menu that a program has written is exchanged with the list. Its default is the entry of the older one, with all that it leads to.
pub(crate) fn a_menu_of_grub_boots_the_older_one(guest: Guest) -> Result<()> {
    let story = Story { name: "attempts-grub-menu".to_owned(), ..story(Update::OtherKernel) };
    let machine = machine(&story.configured("sysroot.bootloader", "auto").installed(grub::INSTALLED), guest)?;
    ours(&machine, &[])?;
    ensure!(written(&machine)?.has_list);
    let default =
        |directory: &str| machine.check(&format!("grep 'then set default=' /boot/{directory}/grub.cfg || true"));
    ensure!(default("loader")?.is_empty() && grub::versions(&machine, "/boot/grub/grub.cfg")? == "21");
    let older = default("loader.firstroot")?;
    ensure!(older.contains(" 1 (ostree:1)'; fi\n"), "{older}");
    // Nobody else may read it, and what the administrator has written since then is in it.
    let mode = machine
        .check("stat --format %a /boot/loader.firstroot/grub.cfg; echo 'set timeout=7' >>/boot/grub/grub.cfg")?;
    ensure!(mode == "600\n", "{mode}");
    boot(&machine)?;
    esp(&machine, "sync")?;
    machine.check("grep 'set timeout=7' /boot/loader.firstroot/grub.cfg; rm -r /boot/loader.firstroot")?;
    esp(&machine, "sync")?;
    ensure!(written(&machine)?.has_list);
    boot(&machine)?;
    let exchanged = boot(&machine)?;
    ensure!(exchanged.told.contains("which is the default now"), "{}", exchanged.told);
    ensure!(default("loader")? == older && grub::versions(&machine, "/boot/grub/grub.cfg")? == "21");
    boot(&machine)?;
    is_rolled_back(&machine, true)?;
    // A boot that is good has a menu of its own.
    esp(&machine, "make-default")?;
    ensure!(default("loader")?.is_empty() && grub::versions(&machine, "/boot/grub/grub.cfg")? == "12");
    boot(&machine)?;
    ensure!(assessment(&machine)?.contains("state=good\n") && version_of_booted(&machine)? == "1");
    esp(&machine, "retry")?;
    ensure!(default("loader")?.is_empty() && grub::versions(&machine, "/boot/grub/grub.cfg")? == "21");
    ensure!(default("loader.firstroot")? == older);
    // What is read there is the file that is exchanged, or there is no list.
    machine.check(
        "rm -r /sysroot/ostree/boot-attempts; cp --remove-destination /boot/loader/grub.cfg /boot/grub/grub.cfg",
    )?;
    let said = esp(&machine, "sync")?;
    ensure!(said.contains("/boot/grub/grub.cfg is no link to ../loader/grub.cfg"), "{said}");
    ensure!(!written(&machine)?.has_list, "{said}");
    // What is configured need not be what there is.
    machine.check("rm -r /sysroot/ostree/boot-attempts /boot/grub; ostree config --repo=/sysroot/ostree/repo set sysroot.bootloader grub2")?;
    let said = esp(&machine, "sync")?;
    ensure!(said.contains("neither /boot/grub/grub.cfg nor /boot/grub2/grub.cfg leads to /boot/loader/"), "{said}");
    ensure!(!written(&machine)?.has_list, "{said}");
    Ok(())
}

/// A boot loader that reads a file of its own finds the older deployment first there, and its own labels where they were.
pub(crate) fn a_file_of_the_boot_loader_begins_with_the_older_one(guest: Guest) -> Result<()> {
    const SYSLINUX: &str =
        "mkdir /target/boot/syslinux; ln -s ../loader/syslinux.cfg /target/boot/syslinux/syslinux.cfg
        printf 'DEFAULT other\\nLABEL other\\n\\tKERNEL /other\\n' >/target/boot/loader/syslinux.cfg";
    const UBOOT: &str = ": >/target/boot/loader/uEnv.txt; ln -s loader/uEnv.txt /target/boot/uEnv.txt";
    for (name, file, installed, link) in [
        ("syslinux", "syslinux.cfg", SYSLINUX, "grep -o 'ostree=[^ ]*' FILE | head -n 1"),
        ("uboot", "uEnv.txt", UBOOT, "grep -o '^bootargs=.*ostree=[^ ]*' FILE | grep -o 'ostree=[^ ]*'"),
    ] {
        let story = Story { name: format!("attempts-{name}"), ..story(Update::OtherKernel) };
        let machine = machine(&story.configured("sysroot.bootloader", "auto").installed(installed), guest)?;
        ours(&machine, &[])?;
        ensure!(written(&machine)?.has_list, "{file}");
        let first = |directory: &str| machine.check(&link.replace("FILE", &format!("/boot/{directory}/{file}")));
        let (update, older) = (first("loader")?, first("loader.firstroot")?);
        ensure!(update.starts_with("ostree=/ostree/boot.") && update != older, "{file}: {update}{older}");
        for _ in 0..2 {
            boot(&machine)?;
        }
        ensure!(boot(&machine)?.told.contains("which is the default now"), "{file}");
        ensure!(first("loader")? == older && first("loader.firstroot")? == update, "{file}");
        if name == "syslinux" {
            machine.check("grep -q 'LABEL other' /boot/loader/syslinux.cfg")?;
        }
        boot(&machine)?;
        is_rolled_back(&machine, true)?;
        if name == "syslinux" {
            // The labels are libostree's, too: it writes its own in their place, and its default in the place of ours.
            let labels = machine.check(
                "sed -i 's/^DEFAULT other/DEFAULT ostree:0/' /boot/loader/syslinux.cfg; ostree admin set-default 1
                 grep -e ^LABEL -e ^DEFAULT /boot/loader/syslinux.cfg",
            )?;
            let of = |what: &str| labels.lines().filter(|line| line.starts_with(what)).count();
            let counts = (of("DEFAULT "), of("LABEL "), of("LABEL other"), labels.matches("ostree:0)").count());
            ensure!(counts == (1, 3, 1, 2) && !labels.contains(" ostree:"), "{labels}");
        }
    }
    Ok(())
}

/// With other arguments and the same kernel no list can be written, since boot links would have other numbers.
pub(crate) fn other_arguments_stay_those_of_the_update(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::SameKernel), guest)?;
    machine.check("ostree admin undeploy 0; ostree admin deploy --os=os --karg-append=changed os/next")?;
    let said = esp(&machine, "sync")?;
    let now = written(&machine)?;
    ensure!(!now.has_list && now.record.trial.is_some() && said.contains("with the default's arguments"), "{said}");
    for _ in 0..2 {
        ensure!(boot(&machine)?.is_trial);
    }
    ensure!(boot(&machine)?.told.contains("which has the same kernel"));
    is_rolled_back(&machine, true)
}

/// A finalization that is cut after its swap has made the update the default: it is on trial all the same.
pub(crate) fn the_default_is_on_trial_whenever_a_finalization_is_killed(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::OtherKernel), guest)?;
    let (mut calls, mut swapped) = (0, 0);
    for number in 1.. {
        let killed = machine.another()?;
        let inject = format!("inject=renameat2,syncfs,unlinkat:signal=KILL:when={number}");
        let finalized = killed.strace(Contestant::Ours, &["-e", &inject, "-o", "/dev/null"])?;
        if finalized.outcome.signal != Some(9) {
            break;
        }
        calls += 1;
        killed.boot_default()?;
        if version_of_booted(&killed)? == "2" {
            swapped += 1;
            let record = written(&killed)?.record;
            ensure!(record.trial.is_some(), "killed at call {number}: {record}");
        }
    }
    ensure!(calls > 5 && swapped > 0, "{calls} calls, {swapped} after the swap");
    Ok(())
}

/// Both files, and the list, are as a second run would write them.
pub(crate) fn a_second_run_writes_nothing(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::OtherKernel), guest)?;
    ours(&machine, &[])?;
    boot(&machine)?;
    let look = "find /sysroot/ostree/boot-attempts /boot -maxdepth 3 -printf '%p %i %C@\\n' | sort";
    let twice =
        machine.check(&format!("{look} >/run/before; {COMMAND} esp sync; {look} | diff /run/before - && echo same"))?;
    ensure!(twice.ends_with("same\n"), "{twice}");
    Ok(())
}

/// A run that is killed at any call leaves no record of a list that is not whole, and another run does the rest.
pub(crate) fn killed_at_any_call_no_list_is_named_that_is_not_whole(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::OtherKernel), guest)?;
    ours(&machine, &[])?;
    boot(&machine)?;
    // The trial stays, and the list has changed: the one beside it was not made for this one.
    machine.check("echo 'title other' >/boot/loader/entries/other.conf")?;
    const CALLS: &str = "openat,openat2,mkdirat,symlinkat,linkat,renameat,renameat2,unlinkat,write,fsync,syncfs,fchmod";
    let traced = format!("strace -qq -f -e trace={CALLS} -o /run/fixture/machine/trace {COMMAND} esp sync");
    let whole = machine.another()?;
    put_command(&whole)?;
    whole.check(&traced)?;
    let expected = written(&whole)?.record;
    let calls = fs::read_to_string(whole.directory().join("trace"))?.lines().count();
    ensure!(expected.trial.as_ref().is_some_and(|trial| trial.list.is_some()) && calls > 50, "{calls}: {expected}");
    let step = if every_call_is_wanted() { 1 } else { 9 };
    for number in (1..=calls).step_by(step) {
        let killed = machine.another()?;
        put_command(&killed)?;
        let inject =
            format!("strace -qq -f -e inject={CALLS}:signal=KILL:when={number} -o /dev/null {COMMAND} esp sync");
        killed.run(&inject)?;
        written(&killed).with_context(|| format!("killed at call {number}"))?;
        esp(&killed, "sync")?;
        let after = written(&killed)?;
        ensure!(after.record == expected && after.has_list, "killed at call {number}: {}", after.record);
    }
    Ok(())
}

/// What is damaged is written anew, and never a reason to fail.
pub(crate) fn damaged_files_are_written_anew(guest: Guest) -> Result<()> {
    let machine = machine(&story(Update::OtherKernel), guest)?;
    ours(&machine, &[])?;
    let expected = written(&machine)?.record;
    boot(&machine)?;
    for damage in [
        "rm count; mkdir count; touch count/file",
        ": >count",
        "truncate -s 1G count",
        "rm count; ln -s /etc/passwd count",
        "head -c 512 /dev/urandom >count",
    ] {
        machine.check(&format!("cd /sysroot/ostree/boot-attempts; {damage}"))?;
        esp(&machine, "sync").with_context(|| damage.to_owned())?;
        let after = written(&machine).with_context(|| damage.to_owned())?;
        ensure!(after.record == expected && after.count.is_none(), "{damage}: {}", after.record);
    }
    for damage in ["head -c 100 /dev/urandom >record", "truncate -s 1G record", "rm record; mkdir record"] {
        machine.check(&format!("cd /sysroot/ostree/boot-attempts; {damage}"))?;
        // What was good is forgotten: what runs, is.
        esp(&machine, "sync").with_context(|| damage.to_owned())?;
        let after = written(&machine).with_context(|| damage.to_owned())?;
        ensure!(after.record.trial.is_none() && after.record.good.len() == 1, "{damage}: {}", after.record);
    }
    Ok(())
}
