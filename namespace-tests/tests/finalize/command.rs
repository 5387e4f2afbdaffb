//! The command for people, on disks that the peer has installed: what it says of a system that is whole, and of every damage.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Filesystem, Machine, Story};
use qemu_tests::guest::Guest;
use serde_json::Value;

use crate::restart::chosen;

/// In the booted system: the tests' directory is mounted there.
const COMMAND: &str = "/run/fixture/machine/firstroot";

/// Makes the initramfs of the tree that is the current directory one with a program and a configuration in it.
const INITRAMFS: &str = r#"
initramfs() {
    perl -e 'sub f { my ($n, $m, $c) = @_;
            my $h = sprintf("070701" . "%08x" x 13, 0, $m, 0, 0, 1, 0, length($c), 0, 0, 0, 0, length($n) + 1, 0) . "$n\0";
            $h .= "\0" x (-length($h) % 4); $h . $c . "\0" x (-length($c) % 4) }
        print f("usr/lib/ostree/ostree-prepare-root", 0100755, "program"),
            f("usr/lib/ostree/prepare-root.conf", 0100644, $ARGV[0]), f("number", 0100644, $ARGV[1]), f("TRAILER!!!", 0, "")' \
        "$1" "$2" | gzip >"$(echo usr/lib/modules/*/initramfs.img)"
}
unify() {
    perl -e 'open(my $file, "<", $ARGV[0]) or die; local $/; my $initramfs = <$file>;
        my $head = "MZ" . "\0" x 58 . pack("V", 64) . "PE\0\0" . pack("vv", 0x8664, 2) . "\0" x 12 . pack("v", 240) . "\0\0"
            . pack("v", 0x20b) . "\0" x 66 . pack("v", 10) . "\0" x 38 . pack("V", 16) . "\0" x 128;
        my $at = length($head) + 80;
        print $head, map({ pack("a8V4", $_, length($initramfs), 0, length($initramfs), $at) . "\0" x 16 } ".linux", ".initrd"), $initramfs' \
        "$(echo usr/lib/modules/*/initramfs.img)" >"$(echo usr/lib/modules/*/vmlinuz)"
    rm usr/lib/modules/*/initramfs.img
}
"#;

/// The binary under test; `None`: `cargo test` alone.
pub(crate) fn binary() -> Option<PathBuf> {
    std::env::var_os("FIRSTROOT_COMMAND").map(PathBuf::from)
}

/// Version 2 boots, with version 1 behind it, and version 3 is staged.
fn story(name: &str) -> Story {
    let init = "printf '#!/bin/sh\\n' >usr/sbin/init; chmod 755 usr/sbin/init; cp usr/sbin/init usr/bin/sh";
    Story::named(name)
        .first_tree(format!("{INITRAMFS}\n{init}; initramfs '[sysroot]\nreadonly=true\n' 1"))
        .tree("os/two", "2", format!("{INITRAMFS}\nkernel 2; initramfs '' 2; echo two >usr/etc/conf.d/00007.conf"))
        .tree("os/three", "3", format!("{INITRAMFS}\nkernel 3; initramfs '' 3; echo three >usr/etc/conf.d/00003.conf; rm usr/etc/conf.d/00004.conf"))
        .stage("os/two")
        .reboot()
}

fn machine(story: &Story, guest: Guest) -> Result<Machine> {
    let machine = story.staged(guest)?.copy()?;
    put_command(&machine)?;
    Ok(machine)
}

pub(crate) fn put_command(machine: &Machine) -> Result<()> {
    let binary = binary().context("FIRSTROOT_COMMAND is not set")?;
    fs::copy(binary, machine.directory().join("firstroot"))?;
    Ok(())
}

/// What it prints, and its status.
fn run(machine: &Machine, arguments: &str) -> Result<(Option<i32>, String, String)> {
    let outcome = machine.run(&format!("{COMMAND} {arguments}"))?;
    Ok((outcome.code, outcome.stdout, outcome.stderr))
}

/// The member at a path like `/a/0/b`; null where there is none.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

fn json(machine: &Machine, arguments: &str, schema: &str) -> Result<Value> {
    let (code, stdout, stderr) = run(machine, &format!("{arguments} --json"))?;
    let value: Value =
        serde_json::from_str(&stdout).with_context(|| format!("{arguments}: {code:?} {stdout}{stderr}"))?;
    json_schemas::require(schema, &value)?;
    Ok(value)
}

/// As from a rescue system, with the disk mounted somewhere.
fn on_disk(root: &Path, arguments: &[&str]) -> Result<Output> {
    let binary = binary().context("FIRSTROOT_COMMAND is not set")?;
    Ok(Command::new(binary).args(arguments).arg("--root").arg(root).output()?)
}

pub(crate) fn a_system_that_is_whole_comes_up(guest: Guest) -> Result<()> {
    for story in [story("command"), story("command-boot").with_boot_on(Filesystem::Ext4)] {
        let machine = machine(&story, guest)?;
        let status = json(&machine, "status", "firstroot-status")?;
        let deployments = at(&status, "/deployments").as_array().context("deployments")?;
        ensure!(
            deployments.len() == 2
                && *at(&status, "/deployments/0/booted") == true
                && *at(&status, "/deployments/0/version") == "2",
            "{status:#}"
        );
        ensure!(*at(&status, "/next/deployment") == *at(&status, "/deployments/0/deployment"), "{status:#}");
        ensure!(
            at(&status, "/staged").is_null()
                && at(&status, "/recovered").is_null()
                && at(&status, "/fell-back").is_null(),
            "{status:#}"
        );
        let (code, text, stderr) = run(&machine, "status")?;
        ensure!(code == Some(0) && text.starts_with("* 0") && !text.contains('\x1b'), "{code:?} {text}{stderr}");
        let check = json(&machine, "check", "firstroot-check")?;
        ensure!(*at(&check, "/answer") == "yes", "{check:#}");
        let (code, text, _) = run(&machine, "check")?;
        ensure!(
            code == Some(0) && text.ends_with("This machine would come up, with every entry.\n"),
            "{code:?} {text}"
        );
        ensure!(text.matches("/usr/lib/ostree/ostree-prepare-root (libostree)").count() == 2, "{text}");
        let output = machine.with_disk(|root| on_disk(root, &["check"]))?;
        ensure!(output.status.code() == Some(0), "from a rescue system: {output:?}");
    }
    Ok(())
}

pub(crate) fn what_is_staged_is_shown_and_checked(guest: Guest) -> Result<()> {
    let machine = machine(&story("command-staged").stage("os/three"), guest)?;
    let status = json(&machine, "status", "firstroot-status")?;
    ensure!(
        *at(&status, "/staged/version") == "3"
            && *at(&status, "/next/deployment") == *at(&status, "/staged/deployment"),
        "{status:#}"
    );
    let (code, text, _) = run(&machine, "check")?;
    ensure!(code == Some(0), "{text}");
    let (code, text, _) = run(&machine, "plan")?;
    ensure!(code == Some(0) && text.starts_with("staged: /ostree/deploy/os/"), "{text}");
    // A conflict stops the update, and not the boot.
    let conflict = "rm /etc/conf.d/00009.conf; mkdir /etc/conf.d/00009.conf; touch /etc/conf.d/00009.conf/x; rm -r /etc/empty.d; echo x >/etc/empty.d";
    machine.check(conflict)?;
    let status = json(&machine, "status", "firstroot-status")?;
    ensure!(
        at(&status, "/staged/conflicts").to_string().contains("/etc/empty.d is a file on this machine"),
        "{status:#}"
    );
    ensure!(at(&status, "/next/why").to_string().contains("conflicts in /etc stop"), "{status:#}");
    let (code, text, _) = run(&machine, "check")?;
    ensure!(code == Some(0) && text.contains("the staged update will not be applied"), "{text}");
    // What would boot next is damaged.
    let machine = machine.another()?;
    put_command(&machine)?;
    machine.check("rm -f /etc/empty.d; mkdir /etc/empty.d; mount -o remount,rw /sysroot; for d in /sysroot/ostree/deploy/os/deploy/*.0; do \
        test -e $d/usr/etc/conf.d/00004.conf || { echo x >$d/x.new 2>/dev/null; cp $d/usr/lib/modules/*/vmlinuz /tmp/v; echo x >>/tmp/v; rm $d/usr/lib/modules/*/vmlinuz; cp /tmp/v $d/usr/lib/modules/6.1.0/vmlinuz; }; done")?;
    let (code, text, _) = run(&machine, "check")?;
    ensure!(code == Some(1) || text.contains("will not be applied"), "{code:?} {text}");
    Ok(())
}

type Damage = (&'static str, fn(&Path) -> Result<()>, i32, &'static str);

fn one(root: &Path, pattern: &str) -> Result<PathBuf> {
    let output = Command::new("sh").arg("-c").arg(format!("ls -d {pattern} | head -n 1")).current_dir(root).output()?;
    let path = String::from_utf8(output.stdout)?;
    ensure!(!path.is_empty(), "nothing is at {pattern}");
    Ok(root.join(path.trim_end()))
}

fn shell(root: &Path, script: &str) -> Result<()> {
    let output = Command::new("sh").args(["-euc", script]).current_dir(root).output()?;
    ensure!(output.status.success(), "{script}: {output:?}");
    Ok(())
}

const DAMAGES: [Damage; 24] = [
    (
        "a kernel that is cut off",
        |root| shell(root, "truncate -s -1 $(ls -d boot/ostree/os-*/vmlinuz* | head -n 1)"),
        1,
        "is not the file of its deployment",
    ),
    (
        "a kernel with another byte",
        |root| {
            let path = one(root, "boot/ostree/os-*/vmlinuz*")?;
            let mut bytes = fs::read(&path)?;
            bytes.iter_mut().skip(4711).take(1).for_each(|byte| *byte ^= 1);
            fs::remove_file(&path)?;
            Ok(fs::write(path, bytes)?)
        },
        1,
        "cp -aT ",
    ),
    ("no kernel", |root| Ok(fs::remove_file(one(root, "boot/ostree/os-*/vmlinuz*")?)?), 1, "does not exist"),
    (
        "an empty initramfs",
        |root| shell(root, "f=$(ls -d boot/ostree/os-*/initramfs* | head -n 1); rm $f; touch $f"),
        1,
        "is empty",
    ),
    (
        "a directory for an initramfs",
        |root| shell(root, "f=$(ls -d boot/ostree/os-*/initramfs* | head -n 1); rm $f; mkdir $f"),
        1,
        "is not a file",
    ),
    (
        "an initramfs of another kernel",
        |root| shell(root, "set -- boot/ostree/os-*/initramfs*; rm $1; cp $2 $1"),
        1,
        "is not the file of its deployment",
    ),
    ("no boot link", |root| Ok(fs::remove_file(one(root, "ostree/boot.?/os/*/0")?)?), 1, "firstroot repair bootlinks"),
    ("no boot links at all", |root| shell(root, "rm -r ostree/boot.?"), 1, "firstroot repair bootlinks"),
    (
        "a boot link that leads elsewhere",
        |root| shell(root, "ln -sfn ../../../deploy $(ls -d ostree/boot.?/os/*/0 | head -n 1)"),
        1,
        "which is not a deployment",
    ),
    ("a boot link in a loop", |root| shell(root, "ln -sfn 0 $(ls -d ostree/boot.?/os/*/0 | head -n 1)"), 1, "loop"),
    (
        "a file for a boot link",
        |root| shell(root, "f=$(ls -d ostree/boot.?/os/*/0 | head -n 1); rm $f; echo x >$f"),
        1,
        "must be a symbolic link",
    ),
    (
        "no deployment",
        |root| {
            shell(root, "chattr -i ostree/deploy/os/deploy/*.0; rm -r $(ls -d ostree/deploy/os/deploy/*.0 | head -n 1)")
        },
        1,
        "which does not exist",
    ),
    (
        "no usr",
        |root| {
            shell(
                root,
                "chattr -i ostree/deploy/os/deploy/*.0; mv $(ls -d ostree/deploy/os/deploy/*.0/usr | head -n 1) gone",
            )
        },
        1,
        "BAD",
    ),
    (
        "no etc",
        |root| {
            shell(
                root,
                "chattr -i ostree/deploy/os/deploy/*.0; rm -r $(ls -d ostree/deploy/os/deploy/*.0/etc ostree/deploy/os/deploy/*.0/usr/etc | head -n 4)",
            )
        },
        1,
        "the deployment has no directory etc",
    ),
    (
        "no init",
        |root| shell(root, "rm $(ls ostree/deploy/os/deploy/*.0/usr/sbin/init | head -n 1)"),
        1,
        "it has no /sbin/init",
    ),
    ("no var", |root| shell(root, "rm -r ostree/deploy/os/var"), 1, "var"),
    (
        "an entry that is no text",
        |root| Ok(fs::write(one(root, "boot/loader/entries/ostree-*.conf")?, [0xff; 99])?),
        1,
        "the entry cannot be used",
    ),
    ("an empty entry", |root| Ok(fs::write(one(root, "boot/loader/entries/ostree-*.conf")?, "")?), 1, "it is empty"),
    (
        "an entry of 100 MB",
        |root| shell(root, "truncate -s 100M $(ls boot/loader/entries/ostree-*.conf | head -n 1)"),
        1,
        "the entry cannot be used",
    ),
    (
        "an entry without a kernel",
        |root| shell(root, "sed -i /^linux/d $(ls boot/loader/entries/ostree-*.conf | head -n 1)"),
        1,
        "the entry names no kernel",
    ),
    (
        "an entry without an initramfs",
        |root| shell(root, "sed -i /^initrd/d $(ls boot/loader/entries/ostree-*.conf | head -n 1)"),
        1,
        "does not load the initramfs",
    ),
    ("no menu", |root| Ok(fs::remove_file(root.join("boot/loader"))?), 1, "there is no boot menu"),
    (
        "a menu that leads nowhere",
        |root| {
            fs::remove_file(root.join("boot/loader"))?;
            Ok(symlink("loader.2", root.join("boot/loader"))?)
        },
        1,
        "there is no boot menu",
    ),
    (
        "a stamp",
        |root| Ok(fs::write(root.join("boot/ostree/finalize-failure.stamp"), "no space\n")?),
        0,
        "the last finalization left: no space",
    ),
];

/// Each kind of damage is a no, with something to do, and never a crash.
pub(crate) fn no_damage_passes_for_a_yes(guest: Guest) -> Result<()> {
    let whole = machine(&story("command-boot").with_boot_on(Filesystem::Ext4), guest)?;
    for (name, damage, code, text) in DAMAGES {
        let machine = whole.another()?;
        let output = machine.with_disk(|root| {
            damage(root).with_context(|| name.to_owned())?;
            on_disk(root, &["check"])
        })?;
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.code() == Some(code) && printed.contains(text), "{name}: {:?}\n{printed}", output.status);
        ensure!(code == 0 || printed.contains("=> "), "{name}: nothing to do: {printed}");
    }
    Ok(())
}

/// What the initramfs lacks, or demands.
pub(crate) fn an_initramfs_is_looked_into(guest: Guest) -> Result<()> {
    for (name, edit, code, text) in [
        ("damaged", "head -c 3000 /dev/zero >$f", 1, "there is no ostree-prepare-root in it"),
        ("unknown", "printf 'BZh91AY&SY123456' >$f", 3, "compressed by bzip2, which firstroot does not read"),
        ("no-archive", "pseudo_random 1 5000 >$f", 1, "neither an archive nor compressed"),
        ("cut-off", "truncate -s -20 $f", 1, "the initramfs cannot be unpacked"),
        ("unified", "initramfs '' 1; unify", 0, ""),
        (
            "unified-bad-configuration",
            "initramfs '[composefs]\nenabled=perhaps\n' 1; unify",
            1,
            "its configuration has an error",
        ),
        ("bad-configuration", "initramfs '[composefs]\nenabled=perhaps\n' 1", 1, "its configuration has an error"),
        (
            "demands-an-image",
            "initramfs '[composefs]\nenabled=yes\n' 1; : >no-image",
            if guest == Guest::Forky { 0 } else { 1 },
            "",
        ),
        ("demands-a-signature", "initramfs '[composefs]\nenabled=signed\n' 1", 1, "there is no file of keys"),
    ] {
        let edit = format!(
            "{INITRAMFS}\nprintf '#!/bin/sh\\n' >usr/sbin/init; chmod 755 usr/sbin/init; initramfs '' 1; f=$(echo usr/lib/modules/*/initramfs.img); {edit}"
        );
        let machine = Story::named(format!("command-initramfs-{name}")).first_tree(edit).staged(guest)?.copy()?;
        let output = machine.with_disk(|root| on_disk(root, &["check"]))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.code() == Some(code) && printed.contains(text), "{name}: {:?}\n{printed}", output.status);
    }
    Ok(())
}

/// Where the ESP has an image in place of kernel and initramfs, that is looked into as well: the initramfs beside it is good.
pub(crate) fn an_image_that_the_esp_boots_is_looked_into(guest: Guest) -> Result<()> {
    let edit = |conf: &str| {
        format!(
            "{INITRAMFS}\nprintf '#!/bin/sh\\n' >usr/sbin/init; chmod 755 usr/sbin/init
             d=$(echo usr/lib/modules/*); cp $d/vmlinuz plain; initramfs '{conf}' 1; unify
             mv $d/vmlinuz $d/virt.efi; mv plain $d/vmlinuz; : >$d/initramfs.img; initramfs '' 1"
        )
    };
    let bad = "[composefs]\nenabled=perhaps\n";
    for (name, conf, staged, about) in [
        ("good", "", "", ""),
        ("bad", bad, "", "virt.efi: its configuration has an error"),
        ("bad-staged", "", bad, "virt.efi: its configuration has an error"),
    ] {
        let story = Story::named(format!("command-image-{name}")).first_tree(edit(conf));
        let story = story.tree("os/next", "2", format!("kernel 2\n{}", edit(staged))).stage("os/next");
        let machine = machine(&story, guest)?;
        for (setting, is_used) in [("", false), ("uki=prefer\\n", true)] {
            let set = format!("mkdir -p /etc/ostree; printf '[esp]\\nenabled=yes\\n{setting}' >/etc/ostree/esp.conf");
            machine.check(&set)?;
            let outcome = machine.run(&format!("{COMMAND} check"))?;
            let is_bad = is_used && !about.is_empty();
            ensure!(outcome.code == Some(i32::from(is_bad)), "{name}, {setting}: {outcome:?}");
            ensure!(!is_bad || outcome.stdout.contains(about), "{name}: {outcome:?}");
        }
    }
    Ok(())
}

pub(crate) fn without_root_or_without_ostree_it_says_so(guest: Guest) -> Result<()> {
    let machine = machine(&story("command"), guest)?;
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    machine.check("chmod 700 /sysroot/ostree/deploy/os/deploy; chmod 755 /run/fixture /run/fixture/machine; true")?;
    let outcome = machine.run(&format!("{nobody} {COMMAND} status"))?;
    ensure!(outcome.code == Some(0) && outcome.stdout.contains("this is not run as root"), "{outcome:?}");
    let outcome = machine.run(&format!("{nobody} {COMMAND} check"))?;
    ensure!(outcome.code == Some(3) && outcome.stdout.contains("run this as root"), "{outcome:?}");
    let outcome = machine.run(&format!("{COMMAND} status | true; {COMMAND} check | head -n 1"))?;
    ensure!(outcome.code == Some(0) && !outcome.stderr.contains("cannot write"), "{outcome:?}");
    let empty = tempfile::tempdir()?;
    for (arguments, code) in [(&["check"][..], 3), (&["status"], 1), (&["etc"], 1), (&["repair", "bootlinks"], 1)] {
        let output = on_disk(empty.path(), arguments)?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.code() == Some(code) && stderr.contains("has no OSTree system"),
            "{arguments:?}: {output:?}"
        );
    }
    let alone = Command::new(binary().context("binary")?).arg("status").output()?;
    ensure!(String::from_utf8_lossy(&alone.stderr).contains("this is not a booted OSTree system"), "{alone:?}");
    Ok(())
}

/// Where the booted tree's `usr/etc` is: `/usr` here is the guest's.
const VENDOR: &str = "vendor=/sysroot$(sed -n 's/.* ostree=\\([^ ]*\\).*/\\1/p' /run/fixture/machine/cmdline)/usr/etc";

const EDITS: &str = "echo mine >/etc/conf.d/00001.conf; ln /etc/conf.d/00001.conf /etc/second; rm /etc/conf.d/00002.conf; \
    chmod 600 /etc/conf.d/00003.conf; echo new >/etc/conf.d/new; rm /etc/os-release; echo x >/etc/os-release; \
    rm -r /etc/private.d; mkdir /etc/link.d; setfattr -n user.mine -v x /etc/group; setfacl -m u:7:rw /etc/passwd";

pub(crate) fn etc_is_compared_and_restored(guest: Guest) -> Result<()> {
    let shipped = "chmod 750 usr/etc/private.d; setfattr -n user.vendor -v v usr/etc/conf.d/00001.conf";
    let mut story = story("command-etc").stage("os/three");
    story.first_tree.push_str(&format!("; {shipped}"));
    let machine = machine(&story, guest)?;
    let nothing = json(&machine, "etc", "firstroot-etc-status")?;
    ensure!(at(&nothing, "/changed").as_array().is_some_and(Vec::is_empty), "{nothing:#}");
    machine.check(EDITS)?;
    let (code, text, stderr) = run(&machine, "etc status")?;
    for line in [
        "M   /etc/conf.d/00001.conf\n",
        "D   /etc/conf.d/00002.conf\n",
        "M   /etc/conf.d/00003.conf (the staged update ships another one)\n",
        "A   /etc/conf.d/new\n",
        "M   /etc/group\n",
        "M   /etc/os-release\n",
        "M   /etc/passwd\n",
        "D   /etc/private.d\n",
        "A   /etc/second\n",
    ] {
        ensure!(code == Some(0) && text.contains(line), "no {line:?}: {text}{stderr}");
    }
    // Attributes count for us alone, as in the merge.
    let peer = machine.check("ostree admin config-diff")?;
    for line in peer.lines() {
        let (letter, path) = line.split_once(' ').context("a line of libostree")?;
        ensure!(text.contains(&format!("{letter}   /etc/{}", path.trim())), "libostree says {line:?}: {text}");
    }
    ensure!(peer.lines().count() >= text.lines().count() - 1, "{peer}{text}");
    let (code, text, stderr) = run(&machine, "etc diff /etc/conf.d/00001.conf os-release conf.d/00003.conf")?;
    ensure!(code == Some(0) && text.contains("\n+mine\n") && text.contains("mode 0644 -> 0600"), "{text}{stderr}");
    ensure!(text.contains("/etc/os-release: a link became a file"), "{text}");
    json(&machine, "etc diff", "firstroot-etc-diff")?;
    let explained = json(&machine, "etc explain conf.d/00003.conf", "firstroot-etc-explain")?;
    ensure!(
        at(&explained, "/update").to_string().contains("keeps this machine's; the staged update ships another one"),
        "{explained:#}"
    );
    let restored = json(
        &machine,
        "etc restore conf.d/00001.conf /etc/conf.d/00002.conf os-release private.d group passwd",
        "firstroot-etc-restore",
    )?;
    ensure!(at(&restored, "/restored").as_array().is_some_and(|all| all.len() == 6), "{restored:#}");
    machine.check(&format!(
        "{VENDOR}
        for file in conf.d/00001.conf conf.d/00002.conf group passwd; do
            cmp $vendor/$file /etc/$file; test \"$(stat -c %a:%u:%g:%Y $vendor/$file)\" = \"$(stat -c %a:%u:%g:%Y /etc/$file)\"
            test \"$(getfattr -d -m 'user[.][mv]|acl' $vendor/$file | tail -n +2)\" = \"$(getfattr -d -m 'user[.][mv]|acl' /etc/$file | tail -n +2)\"
            test $(stat -c %h /etc/$file) = 1
        done
        test -L /etc/os-release; test \"$(cat /etc/os-release.saved)\" = x; test $(stat -c %a /etc/private.d) = 750
        test /etc/second -ef /etc/conf.d/00001.conf.saved; test \"$(cat /etc/second)\" = mine
        getfattr -n user.mine /etc/group.saved; getfacl /etc/passwd.saved | grep -q user:7
        test ! -e /etc/.conf.d.firstroot-new"
    ))?;
    let (code, text, _) = run(
        &machine,
        "etc restore /etc/group; mkfifo /etc/conf.d/pipe; mknod /etc/conf.d/null c 1 3; /run/fixture/machine/firstroot etc restore /etc/conf.d; rm /etc/conf.d/pipe /etc/conf.d/null; echo again >/etc/conf.d/00001.conf; /run/fixture/machine/firstroot etc restore --discard conf.d/00001.conf; ls /etc/conf.d/*.saved*",
    )?;
    ensure!(
        text.contains("left alone /etc/conf.d/null: a device\nleft alone /etc/conf.d/pipe: a fifo\n"),
        "{code:?} {text}"
    );
    ensure!(text.contains("left /etc/conf.d/new") && !text.contains("00001.conf.saved.1"), "{code:?} {text}");
    let (code, _, _) = run(&machine, "etc restore --staged conf.d/00003.conf && grep -q three /etc/conf.d/00003.conf")?;
    ensure!(code == Some(0));
    for path in ["../passwd", "/usr/etc/passwd", "conf.d/new"] {
        let (code, _, stderr) = run(&machine, &format!("etc restore {path}"))?;
        ensure!(code == Some(1) && !stderr.is_empty(), "{path}: {stderr}");
    }
    Ok(())
}

/// An `/etc` whose changes are lost at a reboot: an overlay over the shipped one.
pub(crate) fn etc_on_an_overlay_is_the_etc_that_services_see(guest: Guest) -> Result<()> {
    let machine = machine(&story("command"), guest)?;
    let script = format!(
        "{VENDOR}
         mkdir /run/up; mount -t tmpfs none /run/up; mkdir /run/up/u /run/up/w
         mount -t overlay overlay -o lowerdir=$vendor,upperdir=/run/up/u,workdir=/run/up/w /etc
         echo mine >/etc/conf.d/00001.conf; rm /etc/conf.d/00002.conf
         {COMMAND} etc; {COMMAND} etc restore conf.d/00001.conf conf.d/00002.conf; cmp /etc/conf.d/00001.conf $vendor/conf.d/00001.conf
         cat /etc/conf.d/00001.conf.saved; {COMMAND} etc"
    );
    let text = machine.check(&script)?;
    ensure!(text.starts_with("M   /etc/conf.d/00001.conf\nD   /etc/conf.d/00002.conf\nrestored "), "{text}");
    ensure!(text.ends_with("mine\nA   /etc/conf.d/00001.conf.saved\n"), "{text}");
    Ok(())
}

/// Entries name `boot.1`, and the disk has only `boot.0`.
fn out_of_step(machine: &Machine) -> Result<()> {
    machine.with_disk(|root| {
        shell(root, "n=$(readlink boot/loader | tail -c 2); o=$((1 - n)); rm -f ostree/boot.$o; rm -rf ostree/boot.$o.?; \
            s=$(readlink ostree/boot.$n); mv ostree/$s ostree/boot.$o.0; rm ostree/boot.$n; ln -s boot.$o.0 ostree/boot.$o")
    })
}

pub(crate) fn boot_links_are_repaired_for_every_entry(guest: Guest) -> Result<()> {
    let machine = machine(&story("command"), guest)?;
    let nothing = machine.with_disk(|root| on_disk(root, &["repair", "bootlinks"]))?;
    ensure!(
        String::from_utf8_lossy(&nothing.stdout) == "every entry has its boot link: nothing to do\n",
        "{nothing:?}"
    );
    out_of_step(&machine)?;
    let planned = machine.with_disk(|root| on_disk(root, &["repair", "bootlinks", "--dry-run", "--json"]))?;
    let planned: Value = serde_json::from_slice(&planned.stdout)?;
    json_schemas::require("firstroot-repair", &planned)?;
    ensure!(
        *at(&planned, "/done") == false && at(&planned, "/sets/0/made").as_array().is_some_and(|made| made.len() == 2),
        "{planned:#}"
    );
    let output = machine.with_disk(|root| {
        ensure!(on_disk(root, &["check"])?.status.code() == Some(1), "check says yes");
        let output = on_disk(root, &["repair", "bootlinks"])?;
        ensure!(on_disk(root, &["check"])?.status.code() == Some(0), "{output:?}");
        Ok(output)
    })?;
    ensure!(
        output.status.code() == Some(0) && String::from_utf8_lossy(&output.stdout).contains("made /ostree/boot."),
        "{output:?}"
    );
    machine.boot_default()?;
    let status = machine.check("ostree admin status; ostree admin deploy --os=os os/three; ostree admin status")?;
    ensure!(status.contains("Version: 3"), "{status}");
    Ok(())
}

/// Of two commits with one kernel none is guessed.
pub(crate) fn boot_links_are_not_guessed(guest: Guest) -> Result<()> {
    let init = "printf '#!/bin/sh\\n' >usr/sbin/init; chmod 755 usr/sbin/init";
    let story = Story::named("command-ambiguous")
        .first_tree(format!("{INITRAMFS}\n{init}; initramfs '' 1"))
        .tree("os/two", "2", "echo two >usr/etc/two")
        .stage("os/two")
        .reboot();
    let machine = machine(&story, guest)?;
    machine.with_disk(|root| shell(root, "rm ostree/boot.?/os/*/0"))?;
    let output = machine.with_disk(|root| on_disk(root, &["repair", "bootlinks"]))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.code() == Some(1) && text.contains("it is unknown which one was meant"), "{output:?}");
    Ok(())
}

/// Killed at any call, the links are the old ones or the new ones, and a second run ends as an undisturbed one.
pub(crate) fn a_repair_killed_at_any_call_is_done_again(guest: Guest) -> Result<()> {
    let whole = machine(&story("command"), guest)?;
    out_of_step(&whole)?;
    let strace = |root: &Path, options: &[&str]| -> Result<Output> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq"]).args(options).arg(binary().context("binary")?);
        Ok(command.args(["repair", "bootlinks", "--root"]).arg(root).output()?)
    };
    let traced = whole.another()?.with_disk(|root| strace(root, &["-e", "trace=all"]))?;
    let mut seen = std::collections::HashMap::new();
    let calls = String::from_utf8_lossy(&traced.stderr).into_owned();
    let calls = calls.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned());
    let calls = calls.filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
    let calls: Vec<(String, usize)> = calls
        .map(|name| {
            let number: &mut usize = seen.entry(name.clone()).or_default();
            *number += 1;
            (name, *number)
        })
        .collect();
    let mut killed = 0;
    for (name, number) in chosen(calls, 1) {
        let machine = whole.another()?;
        machine.with_disk(|root| {
            let inject = format!("inject={name}:signal=KILL:when={number}");
            let first = strace(root, &["-e", "trace=all", "-e", &inject, "-o", "/dev/null"])?;
            killed += usize::from(!first.status.success());
            let second = on_disk(root, &["repair", "bootlinks"])?;
            ensure!(second.status.success(), "killed at {name} {number}: {second:?}");
            let check = on_disk(root, &["check"])?;
            ensure!(check.status.code() == Some(0), "killed at {name} {number}: {check:?}");
            Ok(())
        })?;
    }
    ensure!(killed > 10, "only {killed} runs were killed");
    Ok(())
}
