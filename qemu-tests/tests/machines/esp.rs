//! Machines that boot from an ESP: their firmware starts systemd-boot, which reads nothing but FAT.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, ensure};
use qemu_tests::firmware::ESP_PARTUUID;
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::staging::script;
use qemu_tests::sysroot::IMAGE;

use crate::shutdown::{DONE, is_of_version, succeeded};
use crate::{contains, is_well, scenario};

/// The first projection, by somebody who has booted otherwise.
pub(crate) fn project() -> String {
    script(&format!(
        "mkdir -p /etc/ostree
         printf '[esp]\\nenabled=yes\\npartition=PARTUUID={ESP_PARTUUID}\\n[rollback]\\ntries=2\\n' >/etc/ostree/esp.conf
         firstroot esp sync
         firstroot esp sync | grep 'nothing to do'
         systemctl start firstroot-esp-shutdown.service firstroot-esp.path"
    ))
}

/// Shows what is on the ESP.
const LIST: &str = "
list() { mkdir -p /run/esp; mount -o ro /dev/disk/by-partuuid/PARTUUID /run/esp; (cd /run/esp; find . -type f); umount /run/esp; }
";

/// With systemd-boot of Debian 12, whose entries have their counters in their names.
pub(crate) fn an_update_is_blessed_and_one_that_does_not_come_up_is_rolled_back(guest: Guest) -> Result<()> {
    blessed_and_rolled_back(guest, "esp", &(252..=252))
}

/// With systemd-boot of the guest's own release. That of Debian testing changes.
pub(crate) fn with_its_own_loader_an_update_is_blessed_and_another_one_rolled_back(guest: Guest) -> Result<()> {
    let versions = if guest.moves() { 262..=u32::MAX } else { 257..=257 };
    blessed_and_rolled_back(guest, "esp-with-its-own-loader", &versions)
}

/// Projected, booted by the firmware, updated by a finalization, and blessed. Then an update that does not come up: after its one try the
/// machine is back, and says so. Each of it with a systemd-boot of these versions.
fn blessed_and_rolled_back(guest: Guest, name: &str, versions: &RangeInclusive<u32>) -> Result<()> {
    let list = LIST.replace("PARTUUID", ESP_PARTUUID);
    let first = script(&format!(
        "{list} cat /proc/cmdline; list; cat /run/ostree/boot-assessment; {LOADER_INFO}
         version=2; stage 2; prepared 'is prepared: shutdown will merge'
         echo prepared; list; firstroot esp sync | grep 'nothing to do'"
    ));
    let second = script(&format!(
        "{list} if journalctl --boot=-1 --grep 'ordering cycle'; then exit 1; fi; before ostree-finalize-staged.service; cat /proc/cmdline /run/ostree/boot-assessment
         systemctl is-active firstroot-bless.service boot-complete.target
         list
         printf 'tries=1\\nrequired=no-trial.service\\n' >>/etc/ostree/esp.conf
         cd /etc/systemd/system; mkdir -p multi-user.target.wants; ln -s ../no-trial.service multi-user.target.wants/
         printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/sh -c \"! grep firstroot.trial /proc/cmdline\"\\n' >no-trial.service
         mkdir -p /boot/efi; systemd-mount --automount=yes --options=umask=0077 /dev/disk/by-partuuid/{ESP_PARTUUID} /boot/efi
         echo mounted; ls /boot/efi/loader; findmnt --noheadings --output=FSTYPE /boot/efi; firstroot esp sync
         version=3; stage 3; prepared 'is prepared: shutdown will merge'; ls /boot/efi/ostree/*/SHA256SUMS"
    ));
    let third = script("echo this is not reached, or too early");
    let back = script(&format!(
        "{list} is_done firstroot-make-default.service
         list; cat /run/ostree/boot-assessment /run/motd.d/30-ostree-rollback /var/lib/ostree-boot/rollbacks
         echo after the rollback; ostree admin status
         test -e /run/ostree/rolled-back
         journalctl --boot --output=export MESSAGE_ID=0c1f5f1c6a0e4a7a9d1d6f0b7d1a2c59 | grep -a ^OSTREE
         version=4; stage 4; if firstroot esp retry; then exit 1; fi; ostree admin undeploy 0
         firstroot esp retry; echo tried again; list; ostree admin status
         firstroot esp forget; test ! -e /run/motd.d/30-ostree-rollback; grep \"forgotten=yes retried=yes\" /var/lib/ostree-boot/rollbacks"
    ));
    let reports = scenario(guest, name)?.run_scripts_from_esp(&project(), &[&first, &second, &third, &back])?;
    let [projected, first, second, _, back] = reports.as_slice() else { anyhow::bail!("five boots") };
    for report in [projected, first, second, back] {
        let is_cycle = |text: &str| text.contains("ordering cycle");
        let waits = report.journal()?.iter().any(|entry| entry.field("MESSAGE").is_some_and(is_cycle));
        ensure!(!waits, "units wait for each other");
    }
    succeeded(&[projected.clone(), first.clone(), second.clone(), back.clone()])?;
    is_well(first)?;
    let output = first.script_output()?;
    contains(&output, " firstroot.deployment=")?;
    contains(&output, "state=good\n")?;
    is_one_of(&output, versions)?;
    // The kernel of the update is copied while the machine is in use. No entry names it yet.
    let (_, prepared) = output.split_once("\nprepared\n").unwrap_or_default();
    let counts = (prepared.matches("/SHA256SUMS").count(), prepared.matches(".conf\n").count());
    ensure!(counts == (2, 2), "payloads, and entries with loader.conf: {counts:?}\n{output}");
    // Finalized, tried once, and good.
    is_of_version(second, "2")?;
    let output = second.script_output()?;
    contains(&output, DONE)?;
    contains(&output, " panic=30 rd.shell=0 rd.emergency=reboot systemd.crash_action=reboot firstroot.trial")?;
    contains(&output, "state=trial\n")?;
    contains(&output, "attempts=1\n")?;
    contains(&output, "active\nactive\n")?;
    let counts = |line: &str| line.starts_with("./loader/entries/") && line.contains('+');
    ensure!(!output.lines().any(counts), "an entry still counts:\n{output}");
    let (listed, mounted) = output.split_once("\nmounted\n").unwrap_or_default();
    ensure!(listed.matches("/SHA256SUMS").count() == 2, "{output}");
    // While the ESP is mounted for others, by an automount.
    contains(mounted, "\nautofs\nvfat\n")?;
    contains(mounted, "nothing to do\n")?;
    ensure!(mounted.matches("/SHA256SUMS").count() == 3, "{output}");
    // The third has a required unit that fails on trial.
    let (output, status) = (back.script_output()?, back.admin_status()?);
    contains(&output, "state=rolled-back\n")?;
    contains(&output, "Rolled back: 3 (")?;
    contains(&output, ") did not come up, tried once.\nThis is 2 (")?;
    contains(&output, "Reason: no-trial.service is not active, and [rollback] required=")?;
    contains(&output, "Last attempt: journalctl -p warning -b ")?;
    contains(&output, " version=3 source=")?;
    for part in ["OSTREE_ROLLED_BACK_FROM=/ostree/", "OSTREE_ROLLED_BACK_TO=/ostree/", "OSTREE_ATTEMPTS=1\n"] {
        contains(&output, part)?;
    }
    is_well_but_rolled_back(back)?;
    contains(&output, "+0-1.conf")?;
    contains(&output, "+1-0.conf")?;
    ensure!(status.contains("* default") && status.contains("Version: 2"), "{status}");
    // What boots instead is the default for everybody, until the other one is tried again.
    let (_, after) = output.split_once("after the rollback\n").unwrap_or_default();
    let (after, again) = after.split_once("tried again\n").unwrap_or_default();
    let first = |status: &str| status.lines().find(|line| line.contains(" default ")).map(|line| line.contains('*'));
    ensure!((first(after), first(again)) == (Some(true), Some(false)), "{output}");
    Ok(())
}

/// Fails unless the boot loader was systemd-boot of one of these versions: it says so itself.
fn is_one_of(output: &str, versions: &RangeInclusive<u32>) -> Result<()> {
    let said =
        output.lines().find_map(|line| line.strip_prefix("started by systemd-boot ")).context("no systemd-boot")?;
    let number = said.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let is_wanted = number.parse().is_ok_and(|number| versions.contains(&number));
    ensure!(is_wanted, "this systemd-boot was to be of {versions:?}: {said}");
    Ok(())
}

/// Shows what the boot loader says of itself.
pub(crate) const LOADER_INFO: &str =
    "echo started by $(tr -d '\\0' </sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f |
    grep -ao 'systemd-boot .*')";

/// Shows what the firmware has, and through which file this boot has come.
const FIRMWARE: &str = "
firmware() { (cd /sys/firmware/efi/efivars; for file in Boot*-8be4df61-*; do echo $file; tr -d '\\0' <$file | tr -c '[:print:]' ' '; echo; done
    echo started through; tr -d '\\0' <LoaderImageIdentifier-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f | tr -c '[:print:]' ' '; echo); }
";
const LOADER: &str = "\\efi\\systemd\\systemd-bootx64.efi";

/// Installed beside another boot loader, tried once, first after a good boot, and taken away again.
pub(crate) fn installed_beside_another_loader(guest: Guest) -> Result<()> {
    let list = LIST.replace("PARTUUID", ESP_PARTUUID);
    let install = script(&format!(
        "{list} {FIRMWARE} rm /etc/ostree/esp.conf
         firstroot esp install --dry-run
         test ! -e /etc/ostree/esp.conf
         firstroot esp install
         firstroot esp install | grep 'nothing to do'
         cat /etc/ostree/esp.conf; list; firmware; firstroot esp status"
    ));
    let tried = script(&format!(
        "{FIRMWARE} firmware
         for n in $(seq 60); do
             if journalctl --boot --unit=firstroot-esp-confirm --output=cat | grep 'from now on'; then break; fi
             sleep 1
         done
         firstroot esp status"
    ));
    let first = script(&format!(
        "{list} {FIRMWARE} firmware; firstroot esp status; firstroot esp uninstall; echo after
         test ! -e /etc/ostree/esp.conf; list; firmware; firstroot esp uninstall"
    ));
    let reports =
        scenario(guest, "esp-of-another-loader")?.run_scripts_from_esp(&project(), &[&install, &tried, &first])?;
    succeeded(&reports)?;
    let [_, install, tried, first] = reports.as_slice() else { anyhow::bail!("four boots") };
    let output = install.script_output()?;
    for part in [
        "set the EFI variable BootNext: Boot",
        "installed: the next boot tries systemd-boot",
        "nothing to do",
        "enabled=yes",
        "./EFI/systemd/systemd-bootx64.efi",
        "./loader/loader.conf",
        "is installed and not confirmed",
    ] {
        contains(&output, part)?;
    }
    ensure!(!started_through(&output).contains(LOADER), "the other boot loader was not started:\n{output}");
    // Tried because of BootNext; then the first.
    for report in [tried, first] {
        is_well(report)?;
        let output = report.script_output()?;
        ensure!(started_through(&output).contains(LOADER), "systemd-boot was not started:\n{output}");
    }
    let output = tried.script_output()?;
    contains(&output, "this boot was good: the firmware starts Boot")?;
    ensure!(!output.contains("BootNext-"), "{output}");
    let output = first.script_output()?;
    let (before, after) = output.split_once("\nafter\n").unwrap_or_default();
    contains(before, "(OSTree (systemd-boot))")?;
    contains(before, "the ESP has the deployments of /boot")?;
    ensure!(!before.contains("Warning"), "{before}");
    contains(after, "./EFI/BOOT/BOOTX64.EFI")?;
    contains(after, "nothing to do")?;
    for gone in ["OSTree", "./EFI/systemd/", "./loader/entries/", "./loader/loader.conf", "./ostree/"] {
        ensure!(!after.contains(gone), "{gone} is still there:\n{after}");
    }
    Ok(())
}

/// Whether Secure Boot is on, and the stub of an image has started the kernel.
const STARTED: &str = "
started() { cat /proc/cmdline; (cd /sys/firmware/efi/efivars
    echo secure boot: $(od -An -tu1 -j4 SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c)
    tr -d '\\0' <StubInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f | tr -c '[:print:]' ' '; echo); }
";

/// Of a tree with kernel and initramfs and a signed image beside them, the image boots: the firmware would start nothing else. The
/// update has the same image. With the kernel in its place nothing comes up.
pub(crate) fn with_secure_boot_an_image_is_booted_and_updated(guest: Guest) -> Result<()> {
    let list = LIST.replace("PARTUUID", ESP_PARTUUID);
    // This boot is not one of the firmware, so that nobody knows of Secure Boot.
    let prefer = project().replace("[rollback]", "uki=prefer\\n[rollback]");
    let without_the_setting = "sed -i /^uki=/d /etc/ostree/esp.conf; firstroot esp sync | grep 'nothing to do'";
    let first = script(&format!(
        "{list} {STARTED} started; {without_the_setting}; list; firstroot esp status; firstroot check; cat /run/ostree/esp-images
         sed -i s/^enabled/uki=ignore\\\\nenabled/ /etc/ostree/esp.conf; echo ignored; firstroot esp sync --dry-run; {without_the_setting}
         tree=/var/tmp/tree-2/usr/lib/modules/$kver; mkdir -p $tree; cp /usr/lib/modules/$kver/{IMAGE} $tree/
         version=2; stage 2; prepared 'is prepared: shutdown will merge'"
    ));
    let second = script(&format!(
        "{list} {STARTED} before ostree-finalize-staged.service; started; list
         systemctl is-active firstroot-bless.service boot-complete.target; firstroot esp status; {without_the_setting}
         sed -i s/^enabled/uki=ignore\\\\nenabled/ /etc/ostree/esp.conf; echo ignored; firstroot esp sync; list"
    ));
    // The kernel that the setting asks for is not signed.
    let scenario = scenario(guest, "esp-secure-boot")?;
    let reports = scenario.run_scripts_from_esp_until(&prefer, &[&first, &second], ": Access Denied")?;
    succeeded(&reports)?;
    let [_, first, second] = reports.as_slice() else { anyhow::bail!("three boots") };
    for report in [first, second] {
        is_well(report)?;
        let output = report.script_output()?;
        for part in [" firstroot.deployment=", "secure boot: 1\n", "systemd-stub ", "/uki-", "nothing to do"] {
            contains(&output, part)?;
        }
        // The kernel alone would have been refused.
        let (listed, _) = output.split_once("ignored\n").unwrap_or((&output, ""));
        ensure!(!listed.contains("/vmlinuz-") && !listed.contains("/initramfs-"), "{output}");
        contains(&output, "unified kernel image")?;
    }
    let output = first.script_output()?;
    let (_, ignored) = output.split_once("ignored\n").unwrap_or_default();
    contains(ignored, "copy ostree/default-")?;
    contains(ignored, "remove in ostree/default-")?;
    is_of_version(second, "2")?;
    let output = second.script_output()?;
    for part in [DONE, " firstroot.trial", "active\nactive\n", "the ESP has the deployments of /boot"] {
        contains(&output, part)?;
    }
    let (images, kernels) = output.split_once("ignored\n").unwrap_or_default();
    for (text, image, kernel) in [(images, 2, 0), (kernels, 0, 2)] {
        let lines =
            |part: &str| text.lines().filter(|line| line.starts_with("./ostree/") && line.contains(part)).count();
        ensure!((lines("/uki-"), lines("/vmlinuz-"), lines("/SHA256SUMS")) == (image, kernel, 2), "{output}");
    }
    Ok(())
}

/// The file that the firmware has started, in lower case.
fn started_through(output: &str) -> String {
    output.rsplit("started through\n").next().unwrap_or_default().lines().next().unwrap_or_default().to_lowercase()
}

/// No unit has failed: `ostree` lists the deployment first that did not come up.
fn is_well_but_rolled_back(report: &Report) -> Result<()> {
    let (state, failed) = (report.system_state()?, report.failed_units()?);
    ensure!(state == "running" && failed.is_empty(), "the system is {state}; failed units:\n{failed}");
    Ok(())
}
