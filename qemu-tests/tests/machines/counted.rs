//! Machines whose boot loader counts nothing: their initramfs does.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::staging::script;

use crate::shutdown::{DONE, succeeded};
use crate::{contains, is_well, scenario};

/// The boot loader that a machine has: none that counts, and none that reads entries.
#[derive(Clone, Copy)]
enum Loader {
    /// `grub-mkconfig` writes its menu.
    Grub,
    /// Its file is written with the list.
    Extlinux,
}

/// An update with another initramfs, whose required unit fails: after its one try the initramfs mounts `/boot`, which is read-only elsewhere, makes the list of the older
/// one the active one, and reboots. The machine is back, and says so.
pub(crate) fn an_update_that_does_not_come_up_is_rolled_back_by_the_initramfs(guest: Guest) -> Result<()> {
    is_rolled_back(guest, "counted", Loader::Grub)
}

/// The same with the other boot loader.
pub(crate) fn with_extlinux_an_update_that_does_not_come_up_is_rolled_back(guest: Guest) -> Result<()> {
    is_rolled_back(guest, "counted-with-extlinux", Loader::Extlinux)
}

/// Writes the first menu, since nothing has done so.
const FIRST_MENU: &str = "if [ -e /boot/grub ]; then
    mount -o remount,rw /boot; grub-mkconfig -o /boot/loader/grub.cfg; mount -o remount,ro /boot
    grep '^menuentry' /boot/grub/grub.cfg
fi";

fn is_rolled_back(guest: Guest, name: &str, loader: Loader) -> Result<()> {
    let first = script(
        "cat /run/ostree/boot-count; findmnt --noheadings --output=OPTIONS /boot
         FIRST_MENU
         mkdir -p /etc/ostree; printf '[rollback]\\nrequired=no-trial.service\\n' >/etc/ostree/esp.conf
         cd /etc/systemd/system; mkdir -p multi-user.target.wants; ln -s ../no-trial.service multi-user.target.wants/
         printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/sh -c \"! test -e /run/ostree/boot-trial\"\\n' >no-trial.service
         tree=/var/tmp/tree; modules=$tree/usr/lib/modules/$kver; mkdir -p $modules
         cat /boot/ostree/*/initramfs* >$modules/initramfs.img
         head -c 512 /dev/zero >>$modules/initramfs.img
         ostree --repo=$repo commit --branch=firstroot/2 --tree=ref=firstroot/guest --tree=dir=$tree --add-metadata-string=version=2 --no-bindings
         ostree admin deploy --os=default --stage firstroot/2; prepared 'is prepared: shutdown will merge'",
    )
    .replace("FIRST_MENU", FIRST_MENU);
    let tried = script("echo this is not reached, or too early");
    let exchanged = script("exit 1");
    let back = script(
        "is_done firstroot-make-default.service
         cat /run/ostree/boot-assessment /run/motd.d/30-ostree-rollback
         journalctl --boot=-1 --output=cat --unit=ostree-prepare-root --unit=firstroot-boot-check
         journalctl --boot=-2 --output=cat --unit=ostree-finalize-staged
         cat /proc/cmdline; grep -hi -e '^menuentry' -e 'then set default=' -e ^default -e label /boot/loader/*.cfg; echo end of the menu
         cat /sysroot/ostree/boot-attempts/record; ls /boot; findmnt --noheadings --output=OPTIONS /boot; firstroot check
         ostree admin cleanup; ostree admin status; firstroot esp sync
         firstroot esp retry; echo tried again; cat /sysroot/ostree/boot-attempts/record",
    );
    let reports = scenario(guest, name)?.run_scripts_from_esp(&first, &[&tried, &exchanged, &back])?;
    let [first, _, _, back] = reports.as_slice() else { anyhow::bail!("four boots") };
    succeeded(&[first.clone(), back.clone()])?;
    is_well(first)?;
    contains(&first.script_output()?, "tries=1\nro,")?;
    if let Loader::Grub = loader {
        contains(&first.script_output()?, "\nmenuentry 'Debian GNU/Linux")?;
    }
    let (state, failed) = (back.system_state()?, back.failed_units()?);
    ensure!(state == "running" && failed.is_empty(), "the system is {state}; failed units:\n{failed}");
    let output = back.script_output()?;
    for part in [
        "state=rolled-back\n",
        "attempts=1\ntries=1\n",
        "loader=ostree-prepare-root\n",
        "Rolled back: 2 (",
        ") did not come up, tried once.\n",
        "Reason: no-trial.service is not active, and [rollback] required=",
        "Last attempt: journalctl -p warning -b ",
        "is on trial: attempt 1 of 1",
        DONE,
        "\nro,",
        "This machine would come up, with every entry.",
    ] {
        contains(&output, part)?;
    }
    boots_what_it_shows(&output, loader)?;
    let (record, again) = output.split_once("tried again\n").unwrap_or_default();
    ensure!(!record.contains("\ntrial=") && !record.contains("loader.firstroot"), "{output}");
    ensure!(again.contains("trial=/ostree/deploy/default/deploy/") && again.contains("\nboot=ext4 "), "{output}");
    let status = record.rsplit("This machine would come up").next().unwrap_or_default();
    let mut deployments = status.lines().filter(|line| line.contains(" default "));
    ensure!(deployments.next().is_some_and(|first| first.contains('*')), "{status}");
    Ok(())
}

/// The boot loader has loaded the kernel of the deployment that boots, and its menu begins with that.
fn boots_what_it_shows(output: &str, loader: Loader) -> Result<()> {
    let (_, menu) = output.split_once("BOOT_IMAGE=").unwrap_or_default();
    let (menu, _) = menu.split_once("end of the menu").unwrap_or_default();
    let image = menu.split('/').find_map(|name| name.strip_prefix("default-")).unwrap_or_default();
    contains(menu, &format!("ostree=/ostree/boot.0/default/{image}/0"))?;
    match loader {
        // The menu was exchanged, and is written anew after a good boot.
        Loader::Grub => {
            let mut titles = menu.lines().filter(|line| line.starts_with("menuentry '"));
            let older = titles.next().is_some_and(|title| title.contains(" (ostree:0)'") && !title.contains(" 2 ("));
            ensure!(older && titles.next().is_some_and(|title| title.contains(" 2 (ostree:1)'")), "{menu}");
            ensure!(!menu.contains("set default="), "{menu}");
        }
        Loader::Extlinux => {
            let titles: Vec<&str> = menu.lines().filter_map(|line| line.trim().strip_prefix("MENU LABEL ")).collect();
            let [older, update] = titles.as_slice() else { anyhow::bail!("{menu}") };
            ensure!(older.ends_with(" (ostree:0)") && update.ends_with(" 2 (ostree:1)"), "{menu}");
            contains(menu, "DEFAULT ostree:0\n")?;
            // None of the title's words are arguments.
            ensure!(menu.lines().next().is_some_and(|line| !line.contains("GNU/Linux")), "{menu}");
        }
    }
    Ok(())
}

/// An update ends at the prompt of its initramfs, and then its kernel panics before the boot is good. It reboots by itself, and then the older deployment boots at once, since
/// it has the same kernel.
pub(crate) fn an_update_whose_kernel_panics_is_rolled_back(guest: Guest) -> Result<()> {
    let first = script(
        "cd /etc/systemd/system; mkdir -p sysinit.target.wants; ln -s ../panics.service sysinit.target.wants/
         printf '[Unit]\\nDefaultDependencies=no\\nConditionPathExists=/run/ostree/boot-trial\\nBefore=basic.target\\n[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"echo c >/proc/sysrq-trigger\"\\n' >panics.service
         ostree --repo=$repo commit --branch=firstroot/2 --tree=ref=firstroot/guest --add-metadata-string=version=2 --no-bindings
         ostree admin deploy --os=default --stage firstroot/2; prepared 'is prepared: shutdown will merge'",
    );
    let tried = script("exit 1");
    let back = script(
        "is_done firstroot-make-default.service
         cat /run/ostree/boot-assessment /run/motd.d/30-ostree-rollback; ostree admin status",
    );
    let reports = scenario(guest, "counted-twice")?.run_scripts(&[&first, &tried, &tried, &back])?;
    let [first, prompt, _, back] = reports.as_slice() else { anyhow::bail!("four boots") };
    succeeded(&[first.clone(), back.clone()])?;
    contains(&prompt.console()?, "did not come up: the machine reboots in a minute. To stay here: systemctl stop ")?;
    let output = back.script_output()?;
    for part in
        ["state=rolled-back\n", "attempts=2\ntries=2\n", "Rolled back: 2 (", ") did not come up, tried 2 times.\n"]
    {
        contains(&output, part)?;
    }
    let mut deployments = output.lines().filter(|line| line.contains(" default "));
    ensure!(deployments.next().is_some_and(|first| first.contains('*')), "{output}");
    Ok(())
}
