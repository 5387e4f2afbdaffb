//! A soft reboot: userspace goes down as at shutdown and comes up again on the same kernel, with the mounts that prepare-root has made
//! in the initramfs, or with those that libostree makes for another deployment.

use anyhow::{Result, ensure};
use qemu_tests::compare::{ABSOLUTE_LAYERS, Difference, same_as_peer};
use qemu_tests::guest::Guest;
use qemu_tests::mounts::Mount;
use qemu_tests::package::Provider;
use qemu_tests::report::Report;
use qemu_tests::scenario::Scenario;
use qemu_tests::staging::script;

use crate::shutdown::{DONE, succeeded};
use crate::{contains, is_well, scenario};

/// libostree has soft reboots only with composefs.
const COMPOSEFS: &str = "[composefs]\nenabled=yes\n";

/// The agent runs this script in the boot and after each soft reboot: first one into what is booted, for which libostree prepares
/// nothing (it refuses to), then one into an update. The kernel and its initramfs are the same in both deployments; how the update
/// is mounted, libostree reads in its tree.
const SCRIPT: &str = "
    mounts() {
        for target in / /usr /etc /sysroot /boot /var; do
            findmnt --noheadings --output=TARGET,SOURCE,FSTYPE,OPTIONS --mountpoint=$target || echo no $target
        done
    }
    is_booted() { test -e /run/ostree-booted; ostree admin status | grep --quiet '^\\* default '; }
    softly() { systemctl soft-reboot; sleep 600; }
    case $(systemctl show --property=SoftRebootsCount --value) in
    0)
        if ostree admin prepare-soft-reboot 0; then exit 1; fi
        mounts >/var/tmp/mounts; softly;;
    1)
        is_booted; mounts | diff /var/tmp/mounts -
        mkdir -p /var/tmp/tree-0/usr/lib/ostree
        printf '[composefs]\nenabled=yes\n' >/var/tmp/tree-0/usr/lib/ostree/prepare-root.conf
        commit 0; ostree admin deploy --os=default --stage firstroot/0; prepared 'is prepared'
        ostree admin prepare-soft-reboot 0
        echo mine >/etc/mine; softly;;
    esac
    is_booted; test ! -e /run/ostree/nextroot-booted
    cat /etc/mine /etc/vendor
    ostree admin status
    journalctl --boot --unit=ostree-finalize-staged.service --unit=ostree-boot-complete.service --output=cat
    ostree admin deploy --os=default firstroot/guest";

/// Which inode of a disk a directory has is no more than chance.
const INODE: Difference = Difference {
    name: "the inode of the deployment",
    level: |line| (!line.starts_with("booted: backing-root-device-inode = ")).then(|| line.to_owned()),
};

/// What ours finalizes is what libostree's soft reboot has prepared, and `ostree` knows which deployment that is.
fn comes_up_twice(scenario: &Scenario) -> Result<Report> {
    let report = scenario.run_script(&script(SCRIPT))?;
    let output = report.script_output()?;
    succeeded(std::slice::from_ref(&report))?;
    is_well(&report)?;
    contains(&output, "mine\nvendor 0\n* default ")?;
    contains(&output, DONE)?;
    contains(&output, "\nthe soft reboot is complete")?;
    Ok(report)
}

/// libostree finds in `/run` and in the mount table what it needs.
pub(crate) fn what_is_booted_and_what_is_finalized_comes_up(guest: Guest) -> Result<()> {
    let report = comes_up_twice(&scenario(guest, "composefs")?)?;
    let table = report.mount_table()?;
    let image = table.at("/").is_some_and(|mount| mount.fstype == "overlay" && mount.source == "composefs");
    let usr = table.at("/usr").is_none_or(Mount::is_read_only);
    ensure!(image && usr && table.at("/sysroot").is_some(), "{table}");
    Ok(())
}

/// And leaves there what it leaves after its own prepare-root.
pub(crate) fn what_is_booted_and_what_is_finalized_comes_up_as_after_the_peer(guest: Guest) -> Result<()> {
    let composefs = scenario(guest, "composefs")?;
    let ours = comes_up_twice(&composefs)?;
    let peer = comes_up_twice(&composefs.booted_by(Provider::Peer))?;
    same_as_peer(&ours, &peer, &[ABSOLUTE_LAYERS, INODE])
}

pub(crate) fn a_separate_boot_is_mounted_again(guest: Guest) -> Result<()> {
    let report = comes_up_twice(&scenario(guest, "separate-boot")?.prepare_root_conf(COMPOSEFS))?;
    let table = report.mount_table()?;
    ensure!(table.at("/boot").is_some_and(|mount| mount.source == "/dev/vdb" && !mount.is_read_only()), "{table}");
    Ok(())
}
