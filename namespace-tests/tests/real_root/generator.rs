//! The generator writes the same units as libostree's, byte for byte.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use qemu_tests::guest::Guest;

use crate::{GENERATOR, OURS, guest_with_ours, trial};

/// A boot.
struct Case {
    name: &'static str,
    command_line: &'static str,
    /// Shell commands that change an ordinary machine, whose `/boot` is on its root.
    arrange: &'static str,
    /// A name that libostree's generator makes in the first run; empty: it makes none.
    makes: &'static str,
}

const TARGET: &str = "BOOT_IMAGE=/vmlinuz root=LABEL=x rw ostree=/ostree/boot.1/os/0123abcd/0 quiet";

const fn case(name: &'static str, arrange: &'static str, makes: &'static str) -> Case {
    Case { name, command_line: TARGET, arrange, makes }
}

const CASES: &[Case] = &[
    case("boot_on_the_root", "", "boot.mount"),
    case("boot_separate", "rm /sysroot/boot/loader", "var.mount"),
    case(
        "boot_in_fstab",
        "rm /sysroot/boot/loader; echo 'LABEL=boot /boot ext4 defaults 0 2' >/etc/fstab",
        "var.mount",
    ),
    case("boot_in_fstab_and_on_the_root", "echo 'LABEL=boot /boot ext4 defaults 0 2' >/etc/fstab", "boot.mount"),
    case("boot_is_a_link", "rmdir /boot; ln -s sysroot/boot /boot", "var.mount"),
    case("boot_is_missing", "rmdir /boot", "var.mount"),
    case("loader_is_a_directory", "rm /sysroot/boot/loader; mkdir /sysroot/boot/loader", "var.mount"),
    case("var_in_fstab", "printf '# x\\nLABEL=var\\t//var/\\text4\\n' >/etc/fstab", "boot.mount"),
    case("var_in_fstab_by_words_alone", "echo 'x /var' >/etc/fstab", "boot.mount"),
    case("var_below_in_fstab", "echo 'LABEL=log /var/log ext4' >/etc/fstab", "var.mount"),
    case(
        "var_without_its_slash_in_fstab",
        "printf 'a var/ b\\n#x /var\\n /var\\nc /var\\r d\\n' >/etc/fstab",
        "var.mount",
    ),
    case("fstab_is_missing", "rm -f /etc/fstab", "var.mount"),
    case("fstab_is_a_link", "echo 'x /var' >/etc/other; ln -sf other /etc/fstab", "boot.mount"),
    case(
        "fstab_of_ten_megabytes",
        "yes 'LABEL=home /home ext4 defaults 0 2' | head -c 10000000 >/etc/fstab",
        "var.mount",
    ),
    case("fstab_is_a_loop", "ln -sf fstab /etc/fstab", "boot.mount"),
    case("the_initramfs_has_mounted_var", "touch /run/ostree/initramfs-mount-var", ""),
    case(
        "after_a_soft_reboot",
        "touch /run/ostree-booted /run/ostree/nextroot-booted; mkdir -p /run/nextroot",
        "var.mount",
    ),
    case("no_run_ostree", "rmdir /run/ostree", ""),
    Case { command_line: "root=/dev/vda rw", ..case("another_system", "", "") },
    Case { command_line: "", ..case("an_empty_command_line", "", "") },
    Case {
        command_line: "androidboot.slot_suffix=_b quiet",
        ..case("android_slot", "ln -s deploy/phone/deploy/0123.0 /ostree/root.b", "var.mount")
    },
    Case {
        command_line: "androidboot.serialno=1",
        ..case("android_without_slots", "ln -s deploy/phone/deploy/0123.0 /ostree/root.a", "var.mount")
    },
    Case { command_line: "androidboot.slot_suffix=_c", ..case("android_slot_that_does_not_exist", "", "") },
    Case { command_line: "ostree=/dev/vda", ..case("garbage_in_the_argument", "", "boot.mount") },
    Case { command_line: "ostree=/ostree/boot.2/os/0/0", ..case("an_unknown_bootversion", "", "boot.mount") },
    Case {
        command_line: "ostree=/ostree/boot.0/o.s-1_x/not-a-checksum/007",
        ..case("a_bootcsum_that_is_none", "", "var.mount")
    },
    Case { command_line: "\u{1}\u{ff} = \"\" -- \u{fc}=", ..case("garbage_without_the_argument", "", "") },
];

/// Each of the two runs three times: twice as systemd does it, with fresh directories, and once more in the last ones.
fn script(case: &Case, programs: [&str; 2]) -> String {
    let Case { command_line, arrange, .. } = case;
    let [theirs, ours] = programs;
    format!(
        "mkdir -p /sysroot/boot /boot /ostree /run/given; printf '%s\\n' '{command_line}' >/run/given/cmdline\n\
         mount --bind /run/given/cmdline /proc/cmdline\n\
         arrange() {{\n\
             rm -rf /run/ostree /run/ostree-booted /run/nextroot /etc/fstab /sysroot/boot /boot /ostree\n\
             mkdir -p /run/ostree /sysroot/boot /boot /ostree; ln -s loader.1 /sysroot/boot/loader\n\
             {arrange}\n\
         }}\n\
         show() {{\n\
             find \"$1\" -printf '%P %y %m %l\\n' | LC_ALL=C sort\n\
             find \"$1\" -type f | LC_ALL=C sort | while read -r file; do echo \"== ${{file##*/}}\"; cat \"$file\"; done\n\
         }}\n\
         for program in {theirs} {ours}; do\n\
             arrange >&2\n\
             for turn in first second again; do\n\
                 test $turn = again || {{ rm -rf /run/units; mkdir -p /run/units/normal /run/units/early /run/units/late; }}\n\
                 status=0; $program /run/units/normal /run/units/early /run/units/late >&2 || status=$?\n\
                 echo \"turn: $turn, status $status\"; show /run/units; find /run/ostree | sort\n\
             done\n\
             echo 'end of a program'\n\
         done"
    )
}

/// What each of the two leaves.
fn both(guest: Guest, case: &Case) -> Result<[String; 2]> {
    let ours = format!("{OURS}/ostree-system-generator");
    let output = guest_with_ours(guest)?.run(&script(case, [GENERATOR, &ours]))?;
    let mut parts = output.split("end of a program\n").map(str::to_owned);
    Ok([parts.next().unwrap_or_default(), parts.next().unwrap_or_default()])
}

/// What ours says that is no success, and is one for libostree.
const NO_SUCCESS: &[&str] = &["no_run_ostree"];

pub(crate) fn trials() -> Vec<Trial> {
    let of = |case: &'static Case| trial(Guest::Forky, &format!("generator::{}", case.name), move || compare(case));
    CASES.iter().map(of).collect()
}

fn compare(case: &Case) -> Result<()> {
    let [theirs, mut ours] = both(Guest::Forky, case)?;
    if NO_SUCCESS.contains(&case.name) {
        ours = ours.replace("status 1", "status 0");
    }
    ensure!(ours == theirs, "libostree's:\n{theirs}\nours:\n{ours}");
    let first = theirs.split("turn: second").next().unwrap_or_default();
    let units = first.lines().any(|line| line.ends_with(" 644 ") || line.contains(" l 777 "));
    if case.makes.is_empty() {
        ensure!(!units, "libostree makes units, so the case is another one: {first}");
    } else {
        let line = format!("normal/{} f 644 ", case.makes);
        ensure!(first.lines().any(|found| found == line), "no {line:?} in {first}");
    }
    Ok(())
}

/// Debian 13's libostree is older: it mounts no `/boot`, and keeps no mount in a soft reboot.
pub(crate) fn units_of_2025_2_differ_where_named(guest: Guest) -> Result<()> {
    let ordinary = CASES.first().context("there is no case")?;
    let [theirs, ours] = both(guest, ordinary)?;
    let newer = [
        " sysroot.mount.d",
        "normal/sysroot.mount.d",
        "normal/boot.mount",
        "normal/local-fs.target.requires/boot.mount",
    ];
    let first = |text: &str| -> Vec<String> {
        let first = text.split("turn: second").next().unwrap_or_default();
        first.lines().take_while(|line| !line.starts_with("== ")).map(str::to_owned).collect()
    };
    let common = |line: &String| !newer.iter().any(|name| line.starts_with(name));
    let left: Vec<String> = first(&ours).into_iter().filter(common).collect();
    ensure!(left == first(&theirs), "libostree's:\n{theirs}\nours:\n{ours}");
    let unit = |text: &str| -> Vec<String> {
        let unit = text.split("== var.mount\n").nth(1).unwrap_or_default();
        unit.lines().take_while(|line| !line.starts_with("==") && !line.starts_with('/')).map(str::to_owned).collect()
    };
    let (theirs, ours) = (unit(&theirs), unit(&ours));
    let newer = ["DefaultDependencies=no", "After=local-fs-pre.target sysroot.mount"];
    let left: Vec<String> = ours.into_iter().filter(|line| !newer.contains(&line.as_str())).collect();
    ensure!(left == theirs, "libostree's: {theirs:?}\nours: {left:?}");
    Ok(())
}

/// systemd of the guest chooses: our link while its program exists, and libostree's generator where a removal has left the link alone.
pub(crate) fn a_link_that_leads_nowhere_hides_nothing(guest: Guest) -> Result<()> {
    let script = "
        link=/etc/systemd/system-generators/ostree-system-generator ours=/usr/lib/firstroot/ostree-finalize-staged
        rm -f /usr/lib/systemd/system-generators/*
        probe() { mkdir -p ${1%/*}; printf '#!/bin/sh\\necho $0 >>/run/ran\\n' >$1; chmod 755 $1; }
        probe $ours; probe /usr/lib/systemd/system-generators/ostree-system-generator
        mkdir -p ${link%/*}; ln -s $ours $link
        run() { systemd-analyze --generators=yes --man=no verify basic.target >/run/said 2>&1 || :; cat /run/ran 2>/run/said || echo none; rm -f /run/ran; }
        run; rm $ours; run
        ln -sf /dev/null $link; run";
    let output = guest_with_ours(guest)?.run(script)?;
    let expected = "/etc/systemd/system-generators/ostree-system-generator\n\
        /usr/lib/systemd/system-generators/ostree-system-generator\n\
        none\n";
    ensure!(output == expected, "{output}");
    Ok(())
}
