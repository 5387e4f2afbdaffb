//! Boot loaders with a file of their own.

use namespace_tests::finalize::Story;

use crate::scenario::Scenario;
use crate::{differences, grub};

/// A system whose boot loader `arranged` sets up after the installation, with `bootloader NAME` and `$boot`.
fn system(name: &str, arranged: &str) -> Story {
    let set =
        "boot=/target/boot; bootloader() { ostree --repo=/target/ostree/repo config set sysroot.bootloader $1; }\n";
    Story::named(name)
        .installed(format!("{set}{arranged}"))
        .tree("os/next", "2", "kernel 2\nmkdir -p usr/lib/ostree-boot; echo shipped=2 >usr/lib/ostree-boot/uEnv.txt")
        .tree("os/later", "3", "kernel 3\nmkdir usr/lib/modules/6.1.0/dtb; echo a >usr/lib/modules/6.1.0/dtb/a.dtb")
}

/// One that was updated once before.
fn updated(name: &str, arranged: &str) -> Story {
    system(name, arranged).stage("os/next").reboot().stage("os/later")
}

const SYSLINUX: &str = "mkdir $boot/syslinux; ln -s ../loader/syslinux.cfg $boot/syslinux/syslinux.cfg";

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        Scenario::of(updated("grub", &format!("bootloader auto; {}", grub::INSTALLED))),
        Scenario::of(updated(
            "syslinux",
            &format!("bootloader auto; {SYSLINUX}; printf 'TIMEOUT 5\\n\\nLABEL other\\n\\tKERNEL /other\\n\\n' >$boot/loader/syslinux.cfg"),
        ))
        .differs(&differences::SYSLINUX_LABELS),
        Scenario::of(
            system(
                "syslinux-default",
                &format!("bootloader syslinux; {SYSLINUX}; printf 'DEFAULT other\\nTIMEOUT 5\\nLABEL other\\n\\tKERNEL /other\\n' >$boot/loader/syslinux.cfg"),
            )
            .stage("os/next"),
        )
        .differs(&differences::SYSLINUX_DEFAULT),
        Scenario::of(
            system("syslinux-overlay", &format!("bootloader auto; {SYSLINUX}; echo PROMPT 1 >$boot/loader/syslinux.cfg"))
                .then("echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/a.img os/next"),
        )
        .differs(&differences::SYSLINUX_OVERLAYS),
        Scenario::of(updated("uboot", "bootloader auto; : >$boot/loader/uEnv.txt; ln -s loader/uEnv.txt $boot/uEnv.txt")),
        Scenario::of(
            system("uboot-lines", "bootloader uboot; echo mine=1 >$boot/loader/uEnv.txt").stage("os/next"),
        )
        .differs(&differences::UBOOT_LINES),
    ]
}
