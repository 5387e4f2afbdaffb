//! What others have in `/boot`: it is recognised, it is kept, and it never stops an update.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Filesystem, Machine, Story};
use qemu_tests::guest::Guest;

use super::ours::{boots_version, ours, staged};

/// Three versions: the first is removed by the update to the third.
fn updated_once(guest: Guest, name: &str) -> Result<Machine> {
    Story::named(name)
        .tree("os/next", "2", "kernel 2")
        .tree("os/later", "3", "kernel 3")
        .stage("os/next")
        .reboot()
        .stage("os/later")
        .staged(guest)?
        .copy()
}

/// Directories in `/boot/ostree` that another system, or an entry of the administrator's, needs.
pub(crate) fn kernels_of_others_stay(guest: Guest) -> Result<()> {
    let machine = updated_once(guest, "kernels-of-others")?;
    let sum = |digit: char| digit.to_string().repeat(64);
    let kernel = |root: &Path, name: &str| -> Result<()> {
        fs::create_dir_all(root.join("boot/ostree").join(name))?;
        Ok(fs::write(root.join("boot/ostree").join(name).join("vmlinuz-1"), "kernel")?)
    };
    machine.with_disk(|root| {
        let entries = root.join("boot/loader/entries");
        for digit in '1'..='7' {
            kernel(root, &format!("other-{}", sum(digit)))?;
        }
        fs::create_dir_all(root.join("boot/ostree/initramfs-overlays"))?;
        fs::write(root.join(format!("boot/ostree/initramfs-overlays/{}.img", sum('8'))), "overlay")?;
        let other = format!(
            "title Other\nversion 9\nlinux /ostree/other-{0}/vmlinuz-1\noptions ostree=/ostree/boot.1/other/{0}/0\n",
            sum('1')
        );
        fs::write(entries.join("ostree-9-other.conf"), other)?;
        for (number, text) in [
            format!("linux /ostree/other-{}/vmlinuz-1\n", sum('2')),
            format!("linux /k\ninitrd\t/boot/ostree/other-{}/vmlinuz-1\n", sum('3')),
            format!("linux /k\nfdtdir /ostree/other-{}\n", sum('4')),
            format!("title caf\u{e9}\nefi ($root)/ostree/other-{}/vmlinuz-1\n", sum('5')),
            format!("uki /ostree/other-{}/vmlinuz-1\ninitrd /ostree/initramfs-overlays/{}.img\n", sum('6'), sum('8')),
        ]
        .into_iter()
        .enumerate()
        {
            fs::write(entries.join(format!("mine-{number}.conf")), text)?;
        }
        Ok(())
    })?;
    ours(&machine, &[])?;
    machine.with_disk(|root| {
        for digit in '1'..='6' {
            let path = root.join(format!("boot/ostree/other-{}/vmlinuz-1", sum(digit)));
            ensure!(path.exists(), "{} is gone", path.display());
        }
        ensure!(!root.join(format!("boot/ostree/other-{}", sum('7'))).exists(), "what nothing names goes");
        ensure!(root.join(format!("boot/ostree/initramfs-overlays/{}.img", sum('8'))).exists());
        let other = fs::read_to_string(root.join("boot/loader/entries/ostree-9-other.conf"))?;
        ensure!(other.contains("title Other\n"), "{other}");
        // Those of the system itself: the booted deployment's, and the new one's.
        let names = fs::read_dir(root.join("boot/ostree"))?.flatten().map(|entry| entry.file_name());
        let own = names.filter(|name| name.to_string_lossy().starts_with("os-")).count();
        ensure!(own == 2, "{own} kernels of its own");
        Ok(())
    })?;
    // To libostree an entry of a system that is not here is an error, whatever it is asked.
    machine.with_disk(|root| Ok(fs::remove_file(root.join("boot/loader/entries/ostree-9-other.conf"))?))?;
    boots_version(&machine, "3")
}

/// An entry that leads nowhere may be another system's, whose stateroot has the same name: it stays, in this update and in the next,
/// with its kernel; and while it is one of libostree's list nothing else goes, either.
pub(crate) fn an_entry_that_leads_nowhere_stays_with_its_kernel(guest: Guest) -> Result<()> {
    let machine = updated_once(guest, "kernels-of-others")?;
    let sum = "0".repeat(64);
    machine.with_disk(|root| {
        fs::create_dir(root.join(format!("boot/ostree/os-{sum}")))?;
        let text = format!(
            "title Other\nversion 0\nlinux /ostree/os-{sum}/k\noptions root=x ostree=/ostree/boot.1/os/{sum}/0\n"
        );
        Ok(fs::write(root.join("boot/loader/entries/ostree-0.conf"), text)?)
    })?;
    let said = ours(&machine, &[])?;
    ensure!(said.contains("ostree-0.conf leads to no deployment: the boot link"), "{said}");
    ensure!(said.contains("no deployment and no kernel is removed: an entry leads to no known deployment"), "{said}");
    let kernels = machine.check("ls -d /boot/ostree/os-* | wc -l")?;
    ensure!(kernels == "4\n", "{kernels} kernels are left of four");
    // libostree reads the sysroot again, and another update changes nothing about the entry. (libostree's own clean-up, when it
    // stages, does not ask whose kernel that is.)
    boots_version(&machine, "3")?;
    machine.check("ostree admin deploy --stage os/next")?;
    ours(&machine, &[])?;
    machine.check("grep -q 'root=x' /boot/loader/entries/other-ostree-0.conf")?;
    boots_version(&machine, "2")
}

/// The line that has these words, or an empty one.
fn line_about<'a>(said: &'a str, words: &str) -> &'a str {
    said.lines().find(|line| line.contains(words)).unwrap_or_default()
}

/// Entries that lead to deployments of this system, and that libostree did not write: copied by hand, or by kernel-install.
pub(crate) fn entries_that_lead_here_follow_their_deployment(guest: Guest) -> Result<()> {
    let machine = updated_once(guest, "kernels-of-others")?;
    machine.check(
        "cd /boot/loader/entries
         sed 's/^version .*/version 99/; s/^title .*/title Debug/' ostree-2.conf >zz-debug.conf
         chmod 600 zz-debug.conf
         { echo sort-key debian; sed 's/^title .*/title Rollback/' ostree-1.conf; } >0123-6.1.0.conf",
    )?;
    for arguments in ["--prepare", "--plan"] {
        let said = ours(&machine, &[arguments])?;
        let debug = line_about(&said, "zz-debug.conf, which libostree did not write, boots /ostree/deploy/os/");
        ensure!(debug.contains(": this update changes its ostree= to /ostree/boot."), "{said}");
        let rollback = line_about(&said, "0123-6.1.0.conf, which libostree did not write, boots /ostree/deploy/os/");
        ensure!(rollback.ends_with(": this update removes both"), "{said}");
    }
    let said = ours(&machine, &[])?;
    let rollback = line_about(&said, "0123-6.1.0.conf, which libostree did not write, boots /ostree/deploy/os/");
    ensure!(rollback.ends_with(": this update removes both"), "{said}");
    machine.with_disk(|root| {
        let entries = root.join("boot/loader/entries");
        ensure!(!entries.join("0123-6.1.0.conf").exists(), "an entry whose deployment is gone is kept");
        ensure!(entries.join("zz-debug.conf").metadata()?.mode() & 0o777 == 0o600);
        let debug = fs::read_to_string(entries.join("zz-debug.conf"))?;
        let rollback = fs::read_to_string(entries.join("ostree-1.conf"))?;
        let line = |text: &str, key: &str| text.lines().find(|line| line.starts_with(key)).map(str::to_owned);
        for key in ["options ", "linux ", "initrd "] {
            ensure!(
                line(&debug, key) == line(&rollback, key),
                "it boots what the entry of the same deployment does: {debug}"
            );
        }
        ensure!(debug.contains("title Debug\nversion 99\n"), "{debug}");
        Ok(())
    })?;
    machine.boot_with(&machine.with_disk(|root| {
        let text = fs::read_to_string(root.join("boot/loader/entries/zz-debug.conf"))?;
        Ok(text.lines().find_map(|line| line.strip_prefix("options ")).context("options")?.to_owned())
    })?)?;
    let status = machine.check("ostree admin status")?;
    ensure!(status.contains("* os") && status.contains("Version: 2\n"), "{status}");
    boots_version(&machine, "3")
}

/// Files, directories and links of others, whatever they are: they stay what they are, and are not read.
pub(crate) fn whatever_is_kept_stays_what_it_is(guest: Guest) -> Result<()> {
    let machine = Story::named("kept").with_boot_on(Filesystem::Ext4).tree("os/next", "2", "kernel 2").stage("os/next");
    let machine = machine.staged(guest)?.copy()?;
    let large = 20_000_000;
    machine.with_disk(|root| {
        let loader = root.join("boot/loader");
        for name in ["splash.img", "entries/memtest.efi", "entries/large.conf"] {
            fs::File::create(loader.join(name))?.set_len(large)?;
        }
        fs::write(loader.join("random-seed"), "seed")?;
        fs::set_permissions(loader.join("random-seed"), fs::Permissions::from_mode(0o600))?;
        rustix::fs::setxattr(loader.join("random-seed"), "user.mine", b"x", rustix::fs::XattrFlags::empty())?;
        fs::create_dir_all(loader.join("keys/inner"))?;
        fs::set_permissions(loader.join("keys"), fs::Permissions::from_mode(0o700))?;
        fs::write(loader.join("keys/inner/db.auth"), "key")?;
        symlink("../elsewhere", loader.join("link"))?;
        use std::os::unix::ffi::OsStrExt;
        fs::write(loader.join("entries").join(std::ffi::OsStr::from_bytes(b"odd-\xff.conf")), "title Odd\n")?;
        Ok(())
    })?;
    let limited = "ulimit -v 60000; ";
    let outcome = machine.run(&format!("{limited}exec /usr/lib/firstroot/ostree-finalize-staged"))?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    machine.with_disk(|root| {
        let loader = root.join("boot/loader");
        for name in ["splash.img", "entries/memtest.efi", "entries/large.conf"] {
            ensure!(loader.join(name).metadata().with_context(|| name.to_owned())?.len() == large, "{name}");
        }
        ensure!(loader.join("random-seed").metadata()?.mode() & 0o777 == 0o600, "the mode of random-seed has changed");
        let mut value = [0; 8];
        ensure!(rustix::fs::getxattr(loader.join("random-seed"), "user.mine", &mut value)? == 1);
        ensure!(loader.join("keys").metadata()?.mode() & 0o777 == 0o700);
        ensure!(fs::read_to_string(loader.join("keys/inner/db.auth"))? == "key");
        ensure!(fs::read_link(loader.join("link"))? == Path::new("../elsewhere"));
        use std::os::unix::ffi::OsStrExt;
        ensure!(loader.join("entries").join(std::ffi::OsStr::from_bytes(b"odd-\xff.conf")).exists());
        Ok(())
    })?;
    boots_version(&machine, "2")
}

/// Where no second name can be given, nor a copy made, the file moves when the update is in place; for want of room the update fails.
pub(crate) fn what_cannot_be_given_a_second_name_is_moved(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check("echo seed >/boot/loader/random-seed; echo 'title Windows' >/boot/loader/entries/windows.conf")?;
    for (error, said) in
        [("EXDEV", ""), ("EIO", "cannot keep /boot/loader/random-seed: Input/output error"), ("ENOSPC", "")]
    {
        let machine = machine.another()?;
        // The first two are kernel and initramfs.
        let inject = format!("inject=linkat:error={error}:when=3");
        let finalized = machine.strace(Contestant::Ours, &["-e", "trace=linkat", "-e", &inject, "-o", "/dev/null"])?;
        let outcome = &finalized.outcome;
        let status = i32::from(error == "ENOSPC");
        ensure!(outcome.code == Some(status) && outcome.stderr.contains(said), "{error}: {outcome:?}");
        let there = machine.check("cat /boot/loader/random-seed /boot/loader/entries/windows.conf")?;
        ensure!(there == "seed\ntitle Windows\n", "{error}: {there}");
        if error == "ENOSPC" {
            machine.finalize(Contestant::Ours)?.outcome.success()?;
        }
        boots_version(&machine, "2")?;
    }
    Ok(())
}

/// Boot loaders follow links: what an entry names that is one stays, and one of libostree's is in its list.
pub(crate) fn an_entry_that_is_a_link_is_an_entry(guest: Guest) -> Result<()> {
    let machine = updated_once(guest, "kernels-of-others")?;
    let sum = "7".repeat(64);
    machine.with_disk(|root| {
        let boot = root.join("boot");
        fs::create_dir_all(boot.join("ostree").join(format!("other-{sum}")))?;
        fs::create_dir(boot.join("elsewhere"))?;
        fs::write(boot.join("elsewhere/x.conf"), format!("linux /ostree/other-{sum}/vmlinuz-1\n"))?;
        symlink("../../elsewhere/x.conf", boot.join("loader/entries/x.conf"))?;
        fs::rename(boot.join("loader/entries/ostree-2.conf"), boot.join("elsewhere/two.conf"))?;
        Ok(symlink("../../elsewhere/two.conf", boot.join("loader/entries/ostree-2.conf"))?)
    })?;
    ensure!(machine.check("ostree admin status")?.contains("* os "), "libostree lists it");
    machine.check("ln -s /nowhere /boot/loader/entries/dangling.conf")?;
    ours(&machine, &[])?;
    // libostree loads no sysroot with such a link.
    machine.check(
        "test $(readlink /boot/loader/entries/dangling.conf) = /nowhere; rm /boot/loader/entries/dangling.conf",
    )?;
    machine.check(&format!("test -d /boot/ostree/other-{sum}; readlink /boot/loader/entries/x.conf"))?;
    boots_version(&machine, "3")?;
    ensure!(machine.check("ostree admin status")?.contains("Version: 2\n"), "the rollback is gone");
    Ok(())
}

/// A deployment that this update removes need not be whole; one that stays keeps the entry that it has.
pub(crate) fn a_damaged_deployment_does_not_block_the_update(guest: Guest) -> Result<()> {
    let old = "mount -o remount,rw /sysroot; cd /sysroot/ostree/deploy/os/deploy; for d in *.0; do \
        grep -q os/stable $d.origin && { chattr -i $d; cd $d; break; }; done; ";
    for damage in ["rm usr/lib/modules/*/vmlinuz", "rm -r usr"] {
        let machine = updated_once(guest, "kernels-of-others")?;
        machine.check(&format!("{old}{damage}"))?;
        ours(&machine, &["--prepare"])?;
        ours(&machine, &[])?;
        boots_version(&machine, "3")?;
        // Pinned, it stays.
        let machine = updated_once(guest, "kernels-of-others")?;
        machine.check("ostree admin pin 2")?;
        let before = machine.check("cat /boot/loader/entries/ostree-1.conf")?;
        machine.check(&format!("{old}{damage}"))?;
        let said = ours(&machine, &[])?;
        ensure!(said.contains("its boot loader entry is kept unchanged and may not boot"), "{said}");
        let after = machine.check("cat /boot/loader/entries/ostree-1.conf")?;
        let other = |text: &str| text.replace("ostree=/ostree/boot.0/", "ostree=/ostree/boot.1/");
        ensure!(other(&before) == other(&after) && before != after, "before:\n{before}after:\n{after}");
        boots_version(&machine, "3")?;
    }
    Ok(())
}

/// A layout that libostree from upstream does not make may be one that the machine's own `ostree` knows.
pub(crate) fn an_unknown_layout_is_left_to_ostree(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.with_disk(|root| {
        let boot = root.join("boot");
        let directory = fs::read_link(boot.join("loader"))?;
        fs::remove_file(boot.join("loader"))?;
        Ok(fs::rename(boot.join(directory), boot.join("loader"))?)
    })?;
    let why = "/boot/loader is not a link: firstroot does not know this layout";
    let said = ours(&machine, &["--prepare"])?;
    ensure!(said.contains(why) && said.contains("ostree will finalize this update at shutdown"), "{said}");
    let nobody = "mount --bind /dev/null /usr/bin/ostree; /usr/lib/firstroot/ostree-finalize-staged";
    let outcome = machine.run(nobody)?;
    ensure!(outcome.code == Some(1) && outcome.stderr.contains(why), "{outcome:?}");
    let outcome = machine.finalize(Contestant::Ours)?.outcome;
    ensure!(outcome.stderr.contains("running /usr/bin/ostree admin finalize-staged instead"), "{outcome:?}");
    Ok(())
}

/// `/boot/ostree` may be a link, and an entry may have several lines of kernel arguments and of initrds.
pub(crate) fn a_link_and_further_lines_are_followed(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.with_disk(|root| {
        fs::rename(root.join("boot/ostree"), root.join("boot/o"))?;
        symlink("o", root.join("boot/ostree"))?;
        let entry = root.join("boot/loader/entries/ostree-1.conf");
        let text = fs::read_to_string(&entry)? + "options quiet\ninitrd /theme.img\n";
        Ok(fs::write(entry, text)?)
    })?;
    let said = ours(&machine, &["--prepare"])?;
    ensure!(
        said.contains(
            "has the line \"initrd /theme.img\", which libostree did not write; the new entry will not have it"
        ),
        "{said}"
    );
    ours(&machine, &[])?;
    machine.with_disk(|root| {
        ensure!(root.join("boot/ostree").is_symlink() && fs::read_dir(root.join("boot/o"))?.count() >= 2);
        let entry = |number: u32| fs::read_to_string(root.join(format!("boot/loader/entries/ostree-{number}.conf")));
        let (old, new) = (entry(1)?, entry(2)?);
        ensure!(old.contains("\ninitrd /theme.img\n") && !new.contains("/theme.img"), "{old}{new}");
        for text in [&old, &new] {
            let options: Vec<_> = text.lines().filter(|line| line.starts_with("options ")).collect();
            let [line] = options.as_slice() else { anyhow::bail!("{text}") };
            ensure!(line.contains("root=LABEL=root rw ostree=/ostree/boot.0/") && line.ends_with(" quiet"), "{text}");
        }
        // libostree loads no sysroot with such a line.
        Ok(fs::write(root.join("boot/loader/entries/ostree-1.conf"), old.replace("initrd /theme.img\n", ""))?)
    })?;
    boots_version(&machine, "2")
}
