//! What is installed in `/boot`, and where that is.

use namespace_tests::finalize::{Filesystem, Story};

use crate::differences;
use crate::scenario::Scenario;

fn update(name: &str) -> Story {
    Story::named(name).tree("os/next", "2", "kernel 2")
}

/// Moves the tree's kernel to an older layout.
fn older(directory: &str) -> String {
    format!(
        "cd usr/lib/modules/6.1.0; sum=$(cat vmlinuz initramfs.img | sha256sum | cut -d' ' -f1); cd ../../../..\n\
         mkdir -p {directory}\n\
         mv usr/lib/modules/6.1.0/vmlinuz {directory}/vmlinuz-6.1.0-$sum\n\
         mv usr/lib/modules/6.1.0/initramfs.img {directory}/initramfs-6.1.0.img-$sum\n\
         rm -r usr/lib/modules"
    )
}

/// Prints an EFI program of x86-64 with these sections, of which only the head is read.
pub(crate) fn efi_program(sections: &[&str]) -> String {
    let (count, names) = (sections.len(), sections.join(" "));
    format!(
        r"{{ printf MZ; head -c 58 /dev/zero; printf '\100\0\0\0PE\0\0\144\206\{count}\0'; head -c 12 /dev/zero
    printf '\360\0\0\0\013\2'; head -c 66 /dev/zero; printf '\12\0'; head -c 38 /dev/zero; printf '\20\0\0\0'; head -c 128 /dev/zero
    for name in {names}; do printf '%s' $name; head -c $((16 - ${{#name}})) /dev/zero; printf '\5\0\0\0'; head -c 20 /dev/zero; done; }}"
    )
}

pub(crate) fn all() -> Vec<Scenario> {
    let edited = |name: &str, edit: &str| {
        Story::named(name).tree("os/next", "2", format!("kernel 2\ncd usr/lib/modules/6.1.0\n{edit}")).stage("os/next")
    };
    vec![
        Scenario::of(edited("devicetree", "echo tree >devicetree")),
        Scenario::of(edited("devicetrees", "mkdir -p dtb/vendor; echo a >dtb/a.dtb; echo b >dtb/vendor/b.dtb; chmod 600 dtb/a.dtb; chmod 750 dtb/vendor")),
        Scenario::of(edited("devicetrees-and-more", "mkdir -p dtb/overlays; echo a >dtb/a.dtb; ln -s a.dtb dtb/link.dtb; : >dtb/overlays/empty")),
        Scenario::of(edited("hmac", "echo sum >.vmlinuz.hmac")),
        Scenario::of(edited("initramfs-without-suffix", "mv initramfs.img initramfs")),
        Scenario::of(edited("no-initramfs", "rm initramfs.img")),
        Scenario::of(edited("modes-and-attributes", "chmod 600 vmlinuz; chmod 4755 initramfs.img; chown 1:2 vmlinuz; setfattr -n user.mine -v x vmlinuz")),
        Scenario::of(edited("several-kernel-directories", "mkdir ../5.0 ../7.0; echo module >../5.0/x.ko; echo module >../7.0/x.ko")),
        Scenario::of(Story::named("kernel-in-ostree-boot").tree("os/next", "2", format!("kernel 2\n{}", older("usr/lib/ostree-boot"))).stage("os/next")),
        Scenario::of(Story::named("kernel-in-boot").tree("os/next", "2", format!("kernel 2\n{}", older("boot"))).stage("os/next")),
        Scenario::of(update("overlay-initrd").then("echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/a.img os/next")),
        Scenario::of(
            update("overlay-initrds")
                .then("echo second >/run/b.img; echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/b.img --overlay-initrd /run/a.img os/next"),
        ),
        Scenario::of(
            update("overlay-initrds-change")
                .tree("os/later", "3", "echo 3 >usr/lib/release")
                .then("echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/a.img os/next")
                .reboot()
                .then("echo second >/run/b.img; ostree admin deploy --stage --overlay-initrd /run/b.img os/later")
                .reboot()
                .stage("os/later"),
        ),
        Scenario::of(update("xfs").on(Filesystem::Xfs).stage("os/next")),
        Scenario::of(update("btrfs").on(Filesystem::Btrfs).stage("os/next")),
        Scenario::of(update("separate-boot").with_boot_on(Filesystem::Ext4).stage("os/next")),
        Scenario::of(update("xfs-with-separate-boot").on(Filesystem::Xfs).with_boot_on(Filesystem::Xfs).stage("os/next")),
        Scenario::of(update("btrfs-with-separate-boot").on(Filesystem::Btrfs).with_boot_on(Filesystem::Ext4).stage("os/next")),
        Scenario::of(
            Story::named("separate-boot-and-everything")
                .with_boot_on(Filesystem::Ext4)
                .tree("os/next", "2", "kernel 2\ncd usr/lib/modules/6.1.0\nmkdir dtb; echo a >dtb/a.dtb; echo sum >.vmlinuz.hmac; chmod 600 vmlinuz; chown 1:2 initramfs.img; setfattr -n user.mine -v x vmlinuz")
                .then("echo first >/run/a.img; ostree admin deploy --stage --overlay-initrd /run/a.img os/next"),
        ),
        Scenario::of(
            Story { boot_size: "24M".to_owned(), ..update("small-boot") }
                .with_boot_on(Filesystem::Ext4)
                // There is room for two kernels of 2.5 MB, and not for three, with all that ext4 keeps for root.
                .installed("room=$(df --output=avail --block-size=1 /target/boot | tail -1); fallocate --length $((room - 3000000)) /target/boot/filler")
                .tree("os/later", "3", "kernel 3")
                .stage("os/next")
                .reboot()
                .stage("os/later"),
        ),
        Scenario::of(
            update("initramfs-again")
                .tree("os/later", "3", "kernel 3")
                .tree("os/next", "2", "rm usr/lib/modules/6.1.0/initramfs.img")
                .stage("os/next")
                .reboot()
                .stage("os/later"),
        )
        .differs(&differences::INHERITED_INIT),
        Scenario::of(
            update("unified-kernel")
                .tree("os/unified", "2", format!("rm usr/lib/modules/6.1.0/initramfs.img; {} >usr/lib/modules/6.1.0/vmlinuz", efi_program(&[".linux", ".initrd"])))
                .stage("os/unified"),
        )
        .differs(&differences::UNIFIED_KERNEL),
        Scenario::of(
            update("damaged-kernel")
                .tree("os/later", "3", "echo 3 >usr/lib/release")
                .stage("os/next")
                .reboot()
                .then("for f in /boot/ostree/os-*/vmlinuz-*; do rm $f; printf damaged >$f; done")
                .stage("os/later"),
        )
        .differs(&differences::DAMAGED_KERNEL),
        Scenario::of(update("bootloader-auto").configured("sysroot.bootloader", "auto").stage("os/next")),
    ]
}
