//! Machines with an ESP on each disk: what one of them gets, and what is wrong with another one.

use anyhow::{Result, ensure};
use qemu_tests::firmware::ESP_PARTUUID;
use qemu_tests::guest::Guest;
use qemu_tests::staging::script;

use crate::shutdown::{is_of_version, succeeded};
use crate::{contains, is_well, scenario};

/// Shell functions: the setting, the names of entries on a device, all files on it, and a finalization now.
const FUNCTIONS: &str = "
esp=/dev/disk/by-partuuid/PARTUUID
configure() { mkdir -p /etc/ostree; printf '[esp]\\nenabled=%s\\npartition=PARTUUID=PARTUUID\\nalso=%s\\n[rollback]\\ntries=2\\n' $1 \"$2\" >/etc/ostree/esp.conf; }
on() { mkdir -p /run/esp; mount -o ro $1 /run/esp; (cd /run/esp; shift; \"$@\"); umount /run/esp; }
entries() { on $1 find loader/entries -name '*.conf' | sort; }
content() { on $1 find loader/entries ostree -type f -exec sha256sum '{}' + | sort; }
finalize_now() {
    until systemctl is-active --quiet ostree-finalize-staged.service; do sleep 1; done
    systemctl stop ostree-finalize-staged.service
    test ! -e /run/ostree/staged-deployment
}
clean() { $(sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/ostree-finalize-staged-clean.service); }
second() { ls -d /sysroot/ostree/deploy/default/deploy/$(ostree rev-parse firstroot/2).0; }
";

/// Four further ESPs, of which only one is any good, and one that is not there. That one has two names, and the first one is named again.
const DISKS: &str = "
modprobe loop; cd /var/tmp; dd if=$esp of=good.img bs=1M conv=sparse status=none
cp good.img read-only.img; cp good.img full.img; truncate --size=8M empty.img
losetup /dev/loop1 good.img; losetup --read-only /dev/loop2 read-only.img; losetup /dev/loop3 full.img; losetup /dev/loop4 empty.img
mkdir -p /run/full; mount -t vfat /dev/loop3 /run/full; head -c 250M /dev/zero >/run/full/filled || true; umount /run/full
ln -s loop1 /dev/again; cd /
configure yes \"/dev/loop1 /dev/loop2 /dev/loop3 /dev/loop4 /dev/nowhere /dev/again $esp\"
";

/// Attaches the good one before anything is projected, from the next deployment on.
const UNIT: &str = "
losetup /dev/loop1 /var/tmp/good.img; mkdir -p /etc/systemd/system/sysinit.target.wants; cd /etc/systemd/system
printf '[Unit]\\nDefaultDependencies=no\\nAfter=local-fs.target\\nBefore=sysinit.target\\n[Service]\\nType=oneshot\\n' >further.service
printf 'RemainAfterExit=yes\\nExecStart=/bin/sh -c \"modprobe loop; losetup /dev/loop1 /var/tmp/good.img\"\\n' >>further.service
ln -s ../further.service sysinit.target.wants/; cd /
";

/// The first one is written whatever is wrong with the others; a good one is like it, but that it has no deployment that is on trial.
/// Nothing is removed that one of them may boot.
pub(crate) fn further_esps_get_what_has_come_up(guest: Guest) -> Result<()> {
    let functions = FUNCTIONS.replace("PARTUUID=PARTUUID", &format!("PARTUUID={ESP_PARTUUID}"));
    let functions = functions.replace("by-partuuid/PARTUUID", &format!("by-partuuid/{ESP_PARTUUID}"));
    let first = script(&format!(
        "{functions} {DISKS}
         same() {{ content $esp >/run/first; content /dev/loop1 >/run/good; test -s /run/first; cmp /run/first /run/good; }}
         firstroot esp sync 2>&1; same; sync; sha256sum $esp /var/tmp/*.img >/run/sums
         echo again; firstroot esp sync 2>&1; sync; sha256sum --check --quiet /run/sums; firstroot esp status
         echo staged; version=2; stage 2; prepared 'is prepared: shutdown will merge'
         journalctl --boot --unit=$unit --output=cat | grep 'further ESP'
         echo finalized; finalize_now; same; test $(entries $esp | wc -l) = 2
         journalctl --boot --unit=ostree-finalize-staged --output=cat | grep 'further ESP'
         configure yes '/dev/loop1 /dev/nowhere'; version=3; stage 3; finalize_now; same; test $(entries $esp | wc -l) = 2
         echo cleaned; clean 2>&1; second
         loader=usr/lib/systemd/boot/efi; mkdir -p /var/tmp/tree-4/$loader; cp /$loader/*.efi /var/tmp/tree-4/$loader"
    ));
    let second = script(&format!(
        "{functions} {UNIT} configure yes /dev/loop1; firstroot esp sync; version=4; second; stage 4; finalize_now; clean; if second; then exit 1; fi; entries $esp; echo further; entries /dev/loop1
         firstroot esp sync; firstroot esp status"
    ));
    let third = script(&format!(
        "{functions} systemctl is-active firstroot-bless.service boot-complete.target; entries $esp; echo further; entries /dev/loop1
         firstroot esp status; configure no /dev/loop1; firstroot esp uninstall --anyway; echo uninstalled; on /dev/loop1 find . -type f"
    ));
    let reports = scenario(guest, "esp-of-another-loader")?.run_scripts_from_esp(&first, &[&second, &third])?;
    succeeded(&reports)?;
    let [first, second, third] = reports.as_slice() else { anyhow::bail!("three boots") };
    what_is_wrong_is_told(&first.script_output()?)?;
    is_well(second)?;
    is_of_version(second, "3")?;
    let output = second.script_output()?;
    let (of_first, of_further) = output.rsplit_once("\nfurther\n").unwrap_or_default();
    let count = |text: &str, what: &str| {
        text.lines().filter(|line| line.starts_with("loader/entries/") && line.contains(what)).count()
    };
    ensure!((count(of_first, ""), count(of_first, "+2-0.conf")) == (2, 1), "{output}");
    ensure!((count(of_further, ""), count(of_further, "+")) == (1, 0), "{output}");
    contains(of_further, "/dev/loop1: has the deployments that have come up")?;
    is_well(third)?;
    is_of_version(third, "4")?;
    let output = third.script_output()?;
    let (of_first, of_further) = output.rsplit_once("\nfurther\n").unwrap_or_default();
    let (of_further, uninstalled) = of_further.split_once("\nuninstalled\n").unwrap_or_default();
    for text in [of_first, of_further] {
        ensure!((count(text, ""), count(text, "+")) == (2, 0), "{output}");
    }
    contains(of_further, ", on the further ESP /dev/loop1")?;
    contains(uninstalled, "./EFI/BOOT/BOOTX64.EFI")?;
    ensure!(!uninstalled.contains("./ostree/") && !uninstalled.contains("./loader/entries/"), "{uninstalled}");
    Ok(())
}

fn what_is_wrong_is_told(output: &str) -> Result<()> {
    let (projected, rest) = output.split_once("again\n").unwrap_or_default();
    let (again, rest) = rest.split_once("staged\n").unwrap_or_default();
    let (staged, rest) = rest.split_once("finalized\n").unwrap_or_default();
    let (finalized, cleaned) = rest.split_once("cleaned\n").unwrap_or_default();
    for told in [projected, again, staged, finalized] {
        for part in ["/dev/loop2: ", "/dev/loop3: the ESP is full", "/dev/loop4: ", "/dev/nowhere: "] {
            contains(told, &format!("the further ESP {part}"))?;
        }
        ensure!(told.matches("the further ESP /dev/loop1").count() == 0, "{told}");
    }
    for (text, end) in [(projected, "to be\n"), (again, "to be: nothing to do\n")] {
        ensure!(text.matches(&format!("/dev/loop1, a further ESP, is as it is {end}")).count() == 1, "{text}");
    }
    contains(again, "has the 1 deployments of /boot: nothing to do\n")?;
    contains(again, "/dev/loop1: has the deployments that have come up")?;
    contains(cleaned, "no old deployment is removed, since the further ESP /dev/nowhere may boot it")
}
