//! GRUB with a menu that a program writes: its failures, the ESP, and what an old menu needs.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Finalized, Machine, Story};
use qemu_tests::guest::Guest;

use super::ours::boots_version;
use super::restart::{calls, chosen};

/// After the installation: GRUB reads a link, and a stand-in for grub-mkconfig notes how it was called, does what `/var/first` says,
/// and writes what libostree's part of it writes.
pub(crate) const INSTALLED: &str = r#"var=/target/ostree/deploy/os/var; mkdir -p $var/usr/sbin /target/boot/grub
    ln -s ../loader/grub.cfg /target/boot/grub/grub.cfg
    cat >$var/usr/sbin/grub-mkconfig <<'END'
#!/bin/sh
echo "$@ $(env | grep _OSTREE_GRUB2 | sort | tr '\n' ' ')" >/var/called
[ ! -e /var/first ] || . /var/first
for entry in $(ls -r /boot/loader.$_OSTREE_GRUB2_BOOTVERSION/entries/ostree-*.conf); do
    echo "menuentry '$(sed -n 's/^title //p' $entry)' {"
    echo "linux $(sed -n 's/^linux //p' $entry) $(sed -n 's/^options //p' $entry)"
    echo "initrd $(sed -n 's/^initrd //p' $entry | head -1)"
    echo "}"
done >"$2.new"
chmod 600 "$2.new"; mv "$2.new" "$2"
END
    chmod 755 $var/usr/sbin/grub-mkconfig
    printf 'menu of the installation\n' >/target/boot/loader/grub.cfg
"#;

/// Updated once by the peer, so that there is a menu; another update is staged.
fn story(name: &str) -> Story {
    Story::named(name)
        .configured("sysroot.bootloader", "auto")
        .installed(INSTALLED)
        .tree("os/next", "2", "kernel 2")
        .tree("os/later", "3", "kernel 3")
        .stage("os/next")
        .reboot()
        .stage("os/later")
}

fn machine(guest: Guest) -> Result<Machine> {
    story("grub-twice").staged(guest)?.copy()
}

/// With arguments of a shell before it: ours, which may wait two seconds for the program.
fn ours(machine: &Machine, before: &str) -> Result<Finalized> {
    let program = "env INVOCATION_ID=1 /usr/lib/firstroot/ostree-finalize-staged --grub-timeout=2";
    machine.run_with_journal(&format!("{before}\n{program}"))
}

/// All that a menu leads to: every kernel and initramfs, every boot link, and the deployment behind it.
const WHOLE: &str = r#"
    menu=${menu:-/boot/grub/grub.cfg}; grep -q '^linux ' $menu
    sed -n 's/^\(linux\|initrd\) \([^ ]*\).*/\2/p' $menu | while read file; do test -s /boot$file || exit 1; done
    sed -n 's/.* ostree=\([^ ]*\).*/\1/p' $menu | while read link; do test -d /sysroot$link/usr || exit 1; done
"#;

/// The versions in GRUB's menu, the default first, after [`WHOLE`].
pub(crate) fn versions(machine: &Machine, menu: &str) -> Result<String> {
    let titles = "sed -n \"s/^menuentry '.* \\([0-9]\\) (ostree.*/\\1/p\" $menu | tr -d '\\n'";
    machine.check(&format!("set -o pipefail 2>/dev/null || true; menu={menu}\n{WHOLE}\n{titles}"))
}

pub(crate) fn no_failure_of_its_program_loses_the_update(guest: Guest) -> Result<()> {
    let machine = machine(guest)?;
    for (first, why) in [
        ("exit 1", "ended with exit status 1"),
        ("echo no device >&2; exit 3", "ended with exit status 3 (no device)"),
        ("sleep 1000000.25", "took longer than 2 s and was killed"),
        ("setsid sleep 1000000.25 & sleep 1000000.25 & exit 1", "ended with exit status 1"),
        ("yes flood", "took longer than 2 s and was killed"),
        ("kill -9 $$", "ended with signal 9"),
        ("exit 0", "has written no grub.cfg: No such file or directory"),
        (": >$2; exit 0", "has left grub.cfg empty"),
        ("echo set default=0 >$2; exit 0", "has written grub.cfg without the new default"),
        ("echo part >$2; echo part >$2.new; exit 1", "ended with exit status 1"),
        // Until the disk is full, or its time is over.
        ("exec cat </dev/zero >$2", ""),
    ] {
        let machine = machine.another()?;
        machine.check(&format!("cat >/var/first <<'END'\n{first}\nEND"))?;
        let finalized = ours(&machine, "")?;
        let said = &finalized.outcome.stderr;
        ensure!(finalized.outcome.code == Some(0) && said.contains("finalized /ostree/deploy/os/"), "{first}: {said}");
        ensure!(
            said.contains("the update is finalized, but GRUB's menu is the old one: ") && said.contains(why),
            "{first}: {said}"
        );
        ensure!(said.len() < 20_000, "{first}: {} bytes are told", said.len());
        ensure!(versions(&machine, "/boot/grub/grub.cfg")? == "21", "{first}: the old menu");
        let running = machine.check("ps ax -o args= 2>/dev/null | grep '[1]000000.25' || true; ls /boot/loader/")?;
        ensure!(running == "entries\ngrub.cfg\n", "{first}: {running}");
        boots_version(&machine, "3")?;
    }
    // It is missing.
    let machine = machine.another()?;
    machine.check("rm /var/usr/sbin/grub-mkconfig")?;
    let said = ours(&machine, "")?.outcome.stderr;
    ensure!(said.contains("neither grub2-mkconfig nor grub-mkconfig is installed"), "{said}");
    ensure!(versions(&machine, "/boot/grub/grub.cfg")? == "21");
    boots_version(&machine, "3")
}

pub(crate) fn a_menu_that_was_not_written_is_told_at_the_next_boot(guest: Guest) -> Result<()> {
    let failed = machine(guest)?;
    failed.check("echo exit 1 >/var/first")?;
    ours(&failed, "")?.outcome.success()?;
    let old = failed.check("sed -n '/^linux/{s/^linux [^ ]* //p;q}' /boot/grub/grub.cfg")?;
    for (program, code) in [
        ("/usr/lib/firstroot/ostree-finalize-staged --boot-complete", 0),
        ("INVOCATION_ID=1 ostree admin boot-complete", 1),
    ] {
        let machine = failed.another()?;
        // As GRUB boots it.
        machine.boot_with(&old)?;
        let outcome = machine.run(program)?;
        let text = "the update is finalized, but GRUB's menu is the old one: /usr/sbin/grub-mkconfig ended with exit status 1; \
            to write the new one: `grub-mkconfig -o /boot/loader/grub.cfg`";
        ensure!(outcome.code == Some(code) && outcome.stderr.contains(text), "{program}: {outcome:?}");
        let outcome = machine.run(program)?;
        ensure!(outcome.code == Some(0) && outcome.stderr.is_empty(), "once: {outcome:?}");
    }
    // Where the update is booted all the same, there is nothing to tell.
    boots_version(&failed, "3")?;
    let outcome = failed.run("/usr/lib/firstroot/ostree-finalize-staged --boot-complete")?;
    ensure!(outcome.code == Some(0) && !outcome.stderr.contains("GRUB"), "{outcome:?}");
    Ok(())
}

/// An ESP is mounted below a `/boot` that is a directory of the root filesystem: libostree sees GRUB on it, and so does ours.
pub(crate) fn on_an_esp_the_menu_takes_its_place_after_the_swap(guest: Guest) -> Result<()> {
    let machine = Story::named("grub-esp")
        .configured("sysroot.bootloader", "auto")
        .installed(format!("{INSTALLED}\nrm /target/boot/grub/grub.cfg /target/boot/loader/grub.cfg"))
        .tree("os/next", "2", "kernel 2")
        .stage("os/next")
        .staged(guest)?
        .copy()?;
    let mount = "mkdir -p /boot/efi; mount -t tmpfs esp /boot/efi; mkdir -p /boot/efi/EFI/BOOT /boot/efi/EFI/debian; \
        echo x >/boot/efi/EFI/BOOT/grub.cfg; ";
    let program = "/usr/lib/firstroot/ostree-finalize-staged --grub-timeout=2";
    let plan = machine.check(&format!("{mount}/usr/lib/firstroot/ostree-finalize-staged --plan"))?;
    ensure!(!plan.contains("grub"), "removable media are nobody's GRUB to libostree:\n{plan}");
    let esp = format!("{mount}echo old >/boot/efi/EFI/debian/grub.cfg; ");
    let look = "; cat /var/called; cd /boot/efi/EFI; for f in $(find -type f | sort); do echo $f; cat $f; done";
    let looked_at = |command: &str| -> Result<(String, String)> {
        let outcome = machine.another()?.run(&format!("{esp}{command}{look}"))?;
        Ok((outcome.stdout, outcome.stderr))
    };
    let (peer, _) = looked_at("env INVOCATION_ID=1 ostree admin finalize-staged")?;
    ensure!(peer.contains("./debian/grub.cfg\nmenuentry") && peer.contains("./debian/grub.cfg.old\nold"), "{peer}");
    let of_program = |output: &str| {
        let told = |line: &&str| line.starts_with("./") || line.contains("EFI/debian") || line.contains("linux");
        output.lines().filter(told).map(str::to_owned).collect::<Vec<_>>()
    };
    // As libostree's units have it (MountFlags=slave), nobody but the program is in its mount namespace, and it leaves that.
    for alone in ["", "unshare --mount --propagation slave "] {
        let (ours, said) = looked_at(&format!("{alone}{program}"))?;
        ensure!(of_program(&ours) == of_program(&peer), "ours:\n{ours}\npeer:\n{peer}\n{said}");
        ensure!(!said.contains("GRUB's menu"), "{said}");
    }
    // A failure leaves the old one alone.
    let (failed, said) = looked_at(&format!("echo 'echo part >$2; echo part >$2.new; exit 1' >/var/first; {program}"))?;
    ensure!(said.contains("`grub-mkconfig -o /boot/efi/EFI/debian/grub.cfg`"), "{said}");
    ensure!(failed.ends_with("./BOOT/grub.cfg\nx\n./debian/grub.cfg\nold\n"), "{failed}");
    // Killed after the swap, a second run ends what was begun.
    let strace = "/run/fixture/tools/strace -qq -o /dev/null -e trace=renameat2,renameat,syncfs";
    let killed = format!(
        "{strace} -e inject=renameat:signal=KILL:when=2+ {program}; stat -c %N /boot/loader; ls /boot/efi/EFI/debian; {program}"
    );
    let (again, said) = looked_at(&killed)?;
    ensure!(of_program(&again).iter().filter(|line| line.contains("linux")).count() == 2, "{again}{said}");
    Ok(())
}

/// A second update that cannot write the menu either: the old one boots, and loses nothing that it leads to but what the list drops.
pub(crate) fn an_old_menu_boots_until_a_new_one_is_written(guest: Guest) -> Result<()> {
    let machine = story("grub-again").tree("os/last", "4", "kernel 4").staged(guest)?.copy()?;
    machine.check("echo exit 1 >/var/first")?;
    ours(&machine, "")?.outcome.success()?;
    ensure!(versions(&machine, "/boot/grub/grub.cfg")? == "21");
    let old = machine.check("sed -n '/^linux/{s/^linux [^ ]* //p;q}' /boot/grub/grub.cfg")?;
    machine.boot_with(&old)?;
    machine.check("/usr/lib/firstroot/ostree-finalize-staged --clean")?;
    ensure!(versions(&machine, "/boot/grub/grub.cfg")? == "21", "after --clean");
    machine.check("ostree admin deploy --stage os/last")?;
    ours(&machine, "")?.outcome.success()?;
    machine.boot_with(&old)?;
    let status = machine.check("ostree admin status; /usr/lib/firstroot/ostree-finalize-staged --clean")?;
    ensure!(status.contains("* os ") && status.contains("Version: 4\n") && status.contains("Version: 2\n"), "{status}");
    machine.check("rm /var/first; ostree admin deploy --stage os/later")?;
    ours(&machine, "")?.outcome.success()?;
    ensure!(versions(&machine, "/boot/grub/grub.cfg")? == "32");
    let kernels = machine.check("ls -d /boot/ostree/os-* | wc -l")?;
    ensure!(kernels.trim() == "2", "{kernels} kernels");
    boots_version(&machine, "3")
}

/// Ours or the program is killed; run again, there is a whole menu, the new one or the old one, and the list is the new one.
pub(crate) fn killed_at_any_call_a_menu_boots(guest: Guest) -> Result<()> {
    let machine = machine(guest)?;
    let mut killed = 0;
    for (name, number) in chosen(calls(&machine, &[])?, 30) {
        let machine = machine.another()?;
        let inject = format!("inject={name}:signal=KILL:when={number}");
        let first = machine.strace(Contestant::Ours, &["-e", "trace=all", "-e", &inject, "-o", "/dev/null"])?;
        killed += usize::from(first.outcome.signal == Some(9));
        let context = || format!("killed at {name} {number}: {}", first.outcome.stderr);
        versions(&machine, "/boot/grub/grub.cfg").with_context(context)?;
        machine.finalize(Contestant::Ours)?.outcome.success().with_context(context)?;
        let menu = versions(&machine, "/boot/grub/grub.cfg").with_context(context)?;
        ensure!(["32", "21"].contains(&menu.as_str()), "{}: {menu}", context());
        let is_told =
            machine.run("grep -q '^the update is finalized, but' /boot/ostree/finalize-failure.stamp")?.code == Some(0);
        ensure!((menu == "21") == is_told, "{}: {menu}, told: {is_told}", context());
        boots_version(&machine, "3").with_context(context)?;
    }
    ensure!(killed > 4, "only {killed} runs were killed");
    Ok(())
}
