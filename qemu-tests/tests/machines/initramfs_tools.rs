//! Debian 13 with Debian's own initramfs, whose scripts call prepare-root.

use anyhow::{Result, ensure};
use qemu_tests::Console;
use qemu_tests::compare::{Difference, same_as_peer};
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::sysroot::LOST;

use crate::{contains, is_well, scenario};

/// What `panic` shows, by our script's words.
const PROMPT: &str = "To try again: exit";

/// A boot that fails does not go on into the physical root. A second run finds the deployment again, and the boot goes on from there.
pub(crate) fn a_missing_deployment_is_explained_and_repaired_at_the_prompt(guest: Guest) -> Result<()> {
    let sees = |text: &str| Console::Sees(text.to_owned());
    let types = |line: &str| Console::Types(line.to_owned());
    let report = [sees("cannot boot: "), sees("/dev/vda on /root, ext4"), sees(PROMPT), sees("(initramfs) ")];
    let lines = [
        report.to_vec(),
        vec![types("exit")],
        report.to_vec(),
        vec![
            types("echo mounted=$(cat /proc/mounts | grep -c ' /root ')"),
            sees("\nmounted=1"),
            types("link=$(readlink /root/ostree/boot.1/default/*/0); cd /root/ostree/deploy/default"),
            types(&format!("mount -o remount,rw /root; mv {LOST} deploy/${{link##*/}}; cd /; exit")),
            Console::WaitsForTheEnd,
        ],
    ];
    let report = scenario(guest, "deployment-missing")?.run_with_person(&lines.concat())?;
    is_well(&report)?;
    says_what_it_booted(&report)?;
    let table = report.mount_table()?;
    for (target, read_only) in [("/usr", true), ("/var", false), ("/boot", false), ("/sysroot", false)] {
        ensure!(table.at(target).is_some_and(|mount| mount.is_read_only() == read_only), "{target}: {table}");
    }
    Ok(())
}

/// No journal takes a message in this initramfs: the kernel's log keeps it.
fn says_what_it_booted(report: &Report) -> Result<()> {
    let said = report.journal()?.iter().any(|entry| {
        let is_from = |field: &str, value: &str| entry.field(field) == Some(value);
        let text = entry.field("MESSAGE").unwrap_or_default();
        is_from("_TRANSPORT", "kernel")
            && is_from("PRIORITY", "6")
            && (is_from("SYSLOG_IDENTIFIER", "ostree-prepare-root") || text.starts_with("ostree-prepare-root: "))
            && text.contains("Resolved OSTree target to: /sysroot/ostree/deploy/default/deploy/")
    });
    ensure!(said, "the kernel's log does not name the deployment");
    Ok(())
}

/// The initramfs is a part of the commit, and it mounts these two.
const ANOTHER_INITRAMFS: Difference = Difference {
    name: "another commit, and another initramfs that mounts /dev and /run",
    level: |line| {
        let is_of_the_initramfs = line.starts_with("mount: /dev ") || line.starts_with("mount: /run ");
        (!is_of_the_initramfs).then(|| without_checksums(line))
    },
};

fn without_checksums(line: &str) -> String {
    let words = line.split_inclusive(|c: char| !c.is_ascii_hexdigit());
    words.map(|word| if word.len() > 64 { "COMMIT." } else { word }).collect()
}

/// What the system's own `mkinitramfs` makes of the booted machine for its own devices only.
const FOR_THIS_MACHINE: &str = "
    echo MODULES=dep >/etc/initramfs-tools/conf.d/dep
    mkinitramfs -o /var/tmp/image $(uname -r) && lsinitramfs /var/tmp/image
";

pub(crate) fn the_same_is_mounted_as_with_dracut(guest: Guest) -> Result<()> {
    let report = scenario(guest, "ext4")?.run_script(FOR_THIS_MACHINE)?;
    is_well(&report)?;
    same_as_peer(&report, &scenario(Guest::Trixie, "ext4")?.run()?, &[ANOTHER_INITRAMFS])?;
    let image = report.script_output()?;
    ensure!(report.script_status()? == 0, "{image}");
    for part in ["usr/lib/ostree/ostree-prepare-root\n", "scripts/local-bottom/firstroot\n"] {
        contains(&image, part)?;
    }
    for module in ["overlay", "erofs", "loop", "virtio_blk"] {
        contains(&image, &format!("/{module}.ko"))?;
    }
    Ok(())
}
