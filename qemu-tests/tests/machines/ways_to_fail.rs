//! Updates that do not come up, each in its own way, on a machine that nobody stands beside: it boots from its ESP, and reboots by itself.

use anyhow::{Context, Result, ensure};
use qemu_tests::firmware::ESP_PARTUUID;
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::staging::script;

use crate::shutdown::succeeded;
use crate::{contains, scenario};

/// How an update fails, and what is seen of it.
struct Way {
    /// Makes the update in `$tree`, and calls `update VERSION`.
    made_by: &'static str,
    /// What is on the console, so that it has failed in this way and in no other.
    console: &'static [&'static str],
    /// What the user is told afterwards, and what the journal has of the attempt.
    told: &'static [&'static str],
}

const NO_JOURNAL: &str = "No attempt came as far as a journal: it ended in kernel, initramfs or /var.";
const LAST_ATTEMPT: &str = "Last attempt: journalctl -p warning -b ";

/// From late to early. Each update is made of the good deployment, and not of the one before.
const WAYS: [Way; 6] = [
    // The default target is not reached: a unit before it does not end.
    Way {
        made_by: r"units=$tree/usr/lib/systemd/system; mkdir -p $units/multi-user.target.wants
             printf '[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n' >$units/hangs.service
             ln -s ../hangs.service $units/multi-user.target.wants/; update 2",
        console: &["reboot: Restarting system"],
        told: &[LAST_ATTEMPT, "firstroot-boot-check.service/start timed out"],
    },
    // /etc/fstab names a disk that is not there.
    Way {
        made_by: r"mkdir -p $tree/usr/etc
             printf '/dev/disk/by-label/missing /var/srv ext4 x-systemd.device-timeout=5s 0 0\n' >$tree/usr/etc/fstab; update 3",
        console: &["firstroot: this deployment did not come up, and is on trial", "To stay here, press Enter"],
        told: &["Reason: the boot ended at an emergency prompt", LAST_ATTEMPT, "Dependency failed for local-fs.target"],
    },
    // The root filesystem cannot be mounted: an emergency shell in the initramfs.
    Way {
        made_by: "update 4 --karg=rootflags=nonsense",
        console: &["Boot has failed. To debug this issue add"],
        told: &[NO_JOURNAL],
    },
    // The root filesystem does not appear, and dracut waits for it, for ever. Half a minute in place of ten.
    Way {
        made_by: r"timer=$archive/etc/systemd/system/firstroot-trial-timeout.timer.d; mkdir -p $timer
             printf '[Timer]\nOnBootSec=\nOnBootSec=30\n' >$timer/short.conf; add_to_initramfs
             update 5 --karg=root=UUID=5f1a7c00-0000-4000-8000-0000000000ff",
        console: &["reboot: Restarting system"],
        told: &[NO_JOURNAL],
    },
    // The initramfs demands an image that an ostree without composefs has not made.
    Way {
        made_by: r"mkdir -p $archive/etc/ostree
             printf '[composefs]\nenabled=yes\n' >$archive/etc/ostree/prepare-root.conf; add_to_initramfs; update 6",
        console: &["rebooting in 10 seconds (this deployment is on trial)"],
        told: &[NO_JOURNAL],
    },
    // Process 1 of the initramfs ends: nothing but the kernel has run.
    Way {
        made_by: r"printf '#!/bin/sh\nexit 1\n' >$archive/init; chmod 755 $archive/init; add_to_initramfs; update 7",
        console: &["Kernel panic - not syncing: Attempted to kill init!"],
        told: &[NO_JOURNAL],
    },
];

/// The first projection.
fn project() -> String {
    script(&format!(
        "mkdir -p /etc/ostree
         printf '[esp]\\nenabled=yes\\npartition=PARTUUID={ESP_PARTUUID}\\n[rollback]\\ntries=1\\ntimeout=60\\n' >/etc/ostree/esp.conf
         firstroot esp sync
         systemctl start firstroot-esp-shutdown.service firstroot-esp.path"
    ))
}

/// Functions that make an update.
const UPDATE: &str = r#"
tree=/var/tmp/tree; archive=/var/tmp/archive
rm -rf $tree $archive; mkdir -p $tree $archive
# What is in $archive wins over the files of the initramfs.
add_to_initramfs() {
    modules=$tree/usr/lib/modules/$kver; mkdir -p $modules; cp /usr/lib/modules/$kver/initramfs.img $modules/
    truncate --size=%512 $modules/initramfs.img
    (cd $archive; find . | busybox cpio -o -H newc) >>$modules/initramfs.img
}
update() {
    version=$1; shift
    ostree --repo=$repo commit --branch=firstroot/$version --tree=ref=firstroot/guest --tree=dir=$tree --add-metadata-string=version=$version --no-bindings
    ostree admin deploy --os=default --stage "$@" firstroot/$version; prepared 'is prepared: shutdown will merge'
}
"#;

/// What a rollback leaves to be looked at.
const BACK: &str = "
test -e /run/ostree/rolled-back
is_done firstroot-make-default.service
cat /run/ostree/boot-assessment /run/motd.d/30-ostree-rollback; ostree admin status
journalctl --boot=-1 --output=cat
echo the attempt is over
";

/// After each update the machine is back on the deployment that it had, and says so. Nobody starts it after an attempt.
pub(crate) fn the_machine_is_back_after_each_of_them(guest: Guest) -> Result<()> {
    let made_by = WAYS.iter().map(|way| way.made_by).chain([""]);
    let scripts: Vec<String> = std::iter::once("")
        .chain(WAYS.iter().map(|_| BACK))
        .zip(made_by)
        .map(|(back, made_by)| script(&format!("{back}{UPDATE}{made_by}")))
        .collect();
    let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
    let reports = scenario(guest, "esp-ways-to-fail")?.run_scripts_from_esp(&project(), &scripts)?;
    succeeded(&reports)?;
    let back = reports.get(2..).context("as many boots as ways, and two")?;
    ensure!(back.len() == WAYS.len(), "{} boots", reports.len());
    for (version, (way, report)) in (2..).zip(WAYS.iter().zip(back)) {
        is_back(report, way, version).with_context(|| format!("version {version}"))?;
    }
    Ok(())
}

fn is_back(report: &Report, way: &Way, version: u32) -> Result<()> {
    let (state, failed) = (report.system_state()?, report.failed_units()?);
    ensure!(state == "running" && failed.is_empty(), "the system is {state}; failed units:\n{failed}");
    let console = report.console()?;
    // Both boots are on it: the attempt, and the one that has reported.
    for part in way.console {
        contains(&console, part)?;
    }
    let output = report.script_output()?;
    let (output, _) = output.split_once("the attempt is over\n").context("no end")?;
    let rolled_back = format!("Rolled back: {version} (");
    for part in ["state=rolled-back\n", "attempts=1\n", &rolled_back, ") did not come up, tried once.\nThis is 1 ("] {
        contains(output, part)?;
    }
    for part in way.told {
        contains(output, part)?;
    }
    // What boots instead is the default.
    let first = output.lines().find(|line| line.contains(" default ")).context("no deployment")?;
    ensure!(first.starts_with('*'), "{output}");
    Ok(())
}
