//! The scenarios by name, for the tests and for `cargo xtask boot --scenario`.

use anyhow::{Context, Result};

use crate::disk::{Filesystem, boot_in_fstab};
use crate::guest::Guest;
use crate::scenario::Scenario;
use crate::sysroot::Sysroot;

/// A name, and what it makes of a plain system.
type Entry = (&'static str, fn(Scenario) -> Scenario);

/// Where our dracut module says who mounts `/boot`; a drop-in of that name wins over it.
const WHO_MOUNTS_BOOT: &str = "etc/ostree/prepare-root.conf.d/99-test.conf";

/// `loader.conf`.
const CHOOSES_AT_ONCE: &str = "timeout 0\ndefault ostree-*\n";

const ENTRIES: &[Entry] = &[
    ("ext4", |s| s),
    ("denials-are-logged", |s| {
        s.without_kernel_argument("audit=0").kernel_arguments(["sysctl.kernel.printk_ratelimit=0"])
    }),
    // The oldest systemd-boot that is tested. It chooses at once.
    ("esp", |s| s.with_esp(CHOOSES_AT_ONCE).with_systemd_boot_of(Guest::Bookworm)),
    ("esp-with-its-own-loader", |s| s.with_esp(CHOOSES_AT_ONCE).with_its_own_systemd_boot()),
    // As a user has it: a failing initramfs gives a shell.
    ("esp-ways-to-fail", |s| {
        s.with_esp(CHOOSES_AT_ONCE)
            .with_systemd_boot_of(Guest::Bookworm)
            .without_kernel_argument("rd.shell=0")
            .without_kernel_argument("rd.emergency=poweroff")
            .that_reboots()
    }),
    ("esp-behind-refind", |s| with_boot_mounted(s.with_refind(CHOOSES_AT_ONCE), "noauto,x-systemd.automount")),
    ("esp-secure-boot", |s| s.with_secure_boot(CHOOSES_AT_ONCE)),
    ("esp-of-another-loader", Scenario::with_esp_of_another_loader),
    ("separate-boot", |s| s.with_filesystem(Filesystem::Ext4WithBoot)),
    ("boot-automounted-sysroot-readonly", |s| {
        s.with_filesystem(Filesystem::Ext4WithBoot).with_disk_changed_by(|root| {
            Sysroot::at(root).write_fstab(&boot_in_fstab("noauto,x-systemd.automount,x-systemd.idle-timeout=2"))?;
            Sysroot::at(root).set_repository_readonly()
        })
    }),
    ("boot-read-only", |s| with_boot_mounted(s, "ro")),
    ("slow-boot-disk", |s| s.with_filesystem(Filesystem::Ext4WithBoot).with_slow_boot_disk(4 << 20)),
    ("xfs", |s| s.with_filesystem(Filesystem::Xfs)),
    ("kinoite", |s| s.with_filesystem(Filesystem::BtrfsSubvolume)),
    ("readonly-by-configuration", |s| s.prepare_root_conf("[sysroot]\nreadonly=true\n")),
    ("readonly-by-repository", |s| s.with_disk_changed_by(|root| Sysroot::at(root).set_repository_readonly())),
    ("transient-etc", |s| s.prepare_root_conf("[sysroot]\nreadonly=true\n[etc]\ntransient=true\n")),
    ("composefs", |s| s.prepare_root_conf("[composefs]\nenabled=yes\n")),
    ("composefs-no-initramfs", |s| {
        s.without_initramfs()
            .with_disk_changed_by(|root| Sysroot::at(root).configure_deployment("[composefs]\nenabled=yes\n"))
    }),
    ("composefs-btrfs", |s| {
        s.with_filesystem(Filesystem::BtrfsSubvolume).prepare_root_conf("[composefs]\nenabled=yes\n")
    }),
    ("composefs-btrfs-two-disks", |s| {
        s.with_filesystem(Filesystem::BtrfsSubvolume).with_spare_disk().prepare_root_conf("[composefs]\nenabled=yes\n")
    }),
    // Its /boot cannot be sealed, so that this machine's kernel, which knows no seals, reads kernels from it.
    ("composefs-sealed", |s| {
        s.with_filesystem(Filesystem::Ext4WithBoot).prepare_root_conf("[composefs]\nenabled=yes\n")
    }),
    // Nothing is sealed in the first boot.
    ("composefs-verity", |s| {
        s.with_filesystem(Filesystem::Ext4WithBoot)
            .prepare_root_conf("[composefs]\nenabled=verity\n")
            .with_disk_changed_by(|root| Sysroot::at(root).append_kernel_argument("ostree.prepare-root.composefs=no"))
    }),
    ("composefs-transient", |s| {
        s.prepare_root_conf("[composefs]\nenabled=yes\n[root]\ntransient=true\n[etc]\ntransient=true\n")
    }),
    ("boot-mounted", |s| s.initramfs_file(WHO_MOUNTS_BOOT, "[boot]\nmount=yes\n")),
    ("boot-not-mounted", |s| s.initramfs_file(WHO_MOUNTS_BOOT, "[boot]\nmount=no\n")),
    ("dracut-without-systemd", Scenario::in_an_initramfs_without_systemd),
    ("script-initramfs", Scenario::in_a_script_initramfs),
    // The kernel mounts no image from a file in a tmpfs.
    ("composefs-in-memory", |s| {
        s.in_a_script_initramfs().kernel_arguments(["toram"]).prepare_root_conf("[composefs]\nenabled=yes\n")
    }),
    ("no-initramfs", Scenario::without_initramfs),
    ("no-initramfs-readonly", |s| {
        s.without_initramfs()
            .with_disk_changed_by(|root| Sysroot::at(root).configure_deployment("[sysroot]\nreadonly=true\n"))
    }),
    // As kernels mount their root unless told otherwise; the administrator's fstab makes it writable later.
    ("no-initramfs-ro", |s| {
        s.without_initramfs()
            .without_kernel_argument("rw")
            .with_disk_changed_by(|root| Sysroot::at(root).write_fstab("/dev/vda / auto defaults 0 0\n"))
    }),
    ("without-libostree", |s| {
        s.prepare_root_conf("[sysroot]\nreadonly=true\n")
            .with_disk_changed_by(|root| Sysroot::at(root).take_libostree_away())
    }),
    ("links-out-of-step", |s| s.with_disk_changed_by(|root| Sysroot::at(root).put_boot_links_out_of_step())),
    // Nothing is recovered: a person chooses.
    ("link-missing", |s| {
        s.prepare_root_conf("[boot]\nrecover=no\n")
            .with_disk_changed_by(|root| Sysroot::at(root).put_boot_links_out_of_step())
    }),
    ("deployment-missing", |s| s.with_disk_changed_by(|root| Sysroot::at(root).lose_deployment())),
    ("counted", |s| counted_once(s.with_filesystem(Filesystem::Ext4WithBoot).with_grub())),
    ("counted-with-extlinux", |s| counted_once(s.with_extlinux())),
    // The first attempt ends at the prompt of the initramfs, after prepare-root.
    ("counted-twice", |s| {
        s.prepare_root_conf("[rollback]\ntries=2\n")
            .initramfs_file("etc/systemd/system/initrd.target.d/fails.conf", "[Unit]\nRequires=fails.service\n")
            .initramfs_file("etc/systemd/system/fails.service", FAILS_AT_THE_FIRST_ATTEMPT)
            .without_kernel_argument("rd.shell=0")
    }),
    ("reboot-on-failure", |s| {
        s.initramfs_file("etc/ostree/prepare-root.conf", "[boot]\non-failure=reboot\n")
            .with_disk_changed_by(|root| Sysroot::at(root).lose_deployment())
    }),
    ("poweroff-on-failure", |s| {
        s.initramfs_file("etc/ostree/prepare-root.conf", "[boot]\non-failure=poweroff\n")
            .with_disk_changed_by(|root| Sysroot::at(root).lose_deployment())
    }),
];

const FAILS_AT_THE_FIRST_ATTEMPT: &str = "[Unit]
DefaultDependencies=no
After=initrd-root-fs.target
Before=initrd.target
OnFailure=emergency.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'while read line; do [ $$line != attempt=1 ] || exit 1; done </run/ostree/boot-count'
";

fn counted_once(scenario: Scenario) -> Scenario {
    scenario.prepare_root_conf("[rollback]\ntries=1\n").with_disk_changed_by(|root| {
        // Not the default target, which is graphical.target: if that were asked for, no boot would be good.
        Sysroot::at(root).append_kernel_argument("systemd.unit=multi-user.target")?;
        Sysroot::at(root).write_fstab(&boot_in_fstab("ro"))
    })
}

/// `/boot` on a disk of its own, mounted with these options of `/etc/fstab`.
fn with_boot_mounted(scenario: Scenario, options: &'static str) -> Scenario {
    scenario
        .with_filesystem(Filesystem::Ext4WithBoot)
        .with_disk_changed_by(move |root| Sysroot::at(root).write_fstab(&boot_in_fstab(options)))
}

/// Names of all scenarios.
pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|(name, _)| *name).collect()
}

/// The scenario `name` on Debian 13, or on another guest: `forky:ext4`.
pub fn scenario(name: &str) -> Result<Scenario> {
    let (guest, name) = name.split_once(':').unwrap_or((Guest::Trixie.name(), name));
    let guest = Guest::all().into_iter().find(|g| g.name() == guest);
    let guest = guest.with_context(|| format!("guests are: {}", Guest::all().map(Guest::name).join(", ")))?;
    let (name, make) = ENTRIES
        .iter()
        .find(|(known, _)| *known == name)
        .with_context(|| format!("there is no scenario {name:?}; there are: {}", names().join(", ")))?;
    Ok(make(Scenario::new(name).on(guest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_on_every_guest_and_an_unknown_one_lists_them() {
        for name in names() {
            assert_eq!(scenario(name).unwrap().name(), name);
            scenario(&format!("forky:{name}")).unwrap();
        }
        let unknown = scenario("ext5").err().unwrap().to_string();
        assert!(names().iter().all(|name| unknown.contains(name)), "{unknown}");
        let unknown = scenario("sid:ext4").err().unwrap().to_string();
        assert!(["trixie", "forky"].iter().all(|guest| unknown.contains(guest)), "{unknown}");
    }
}
