//! The systems that are updated when the power goes.

use namespace_tests::finalize::{Filesystem, SELINUX_POLICY, Story};

/// Changes of the machine, that must be in the new `/etc`, and not in the old one's way.
const EDITS: &str = "echo mine >/etc/hostname
    echo changed >/etc/conf.d/00002.conf
    rm /etc/conf.d/00001.conf
    mkdir /etc/new.d
    echo more >/etc/new.d/file";

/// What is left in `/boot`, beside the first kernel, is enough for another one and a mebibyte to spare, and not for two.
const FILLER: &str = "room=$(df --output=avail --block-size=1 /target/boot | tail -1)
    fallocate --length $((room - 1800000)) /target/boot/filler";

/// Whether `/boot` is a filesystem of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    Same,
    Separate,
    /// And it has room for two kernels, and not for three.
    Small,
    /// And the tree has an SELinux policy, by which files are labelled.
    Labelled,
}

/// Whether the update changes the boot loader's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entries {
    Change,
    Stay,
}

/// What the boot loader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loader {
    Entries,
    Syslinux,
    Uboot,
    Grub,
}

impl Loader {
    /// A script that sets it up after the installation; the story is one in which it is looked for.
    fn installed(self) -> &'static str {
        match self {
            Loader::Entries => "",
            Loader::Syslinux => {
                "mkdir /target/boot/syslinux; ln -s ../loader/syslinux.cfg /target/boot/syslinux/syslinux.cfg
                printf 'TIMEOUT 5\\nLABEL other\\n\\tKERNEL /other\\n' >/target/boot/loader/syslinux.cfg"
            }
            Loader::Uboot => ": >/target/boot/loader/uEnv.txt",
            Loader::Grub => GRUB,
        }
    }
}

/// GRUB reads a link, and the program writes what libostree's part of it writes.
const GRUB: &str = r#"programs=/target/ostree/deploy/os/var/usr/sbin; mkdir -p $programs /target/boot/grub
    ln -s ../loader/grub.cfg /target/boot/grub/grub.cfg
    : >/target/boot/loader/grub.cfg
    cat >$programs/grub-mkconfig <<'END'
#!/bin/sh
for entry in $(ls -r /boot/loader.$_OSTREE_GRUB2_BOOTVERSION/entries/ostree-*.conf); do
    echo "linux $(sed -n 's/^linux //p' $entry) $(sed -n 's/^options //p' $entry)"
    echo "initrd $(sed -n 's/^initrd //p' $entry)"
done >"$2.new"
mv "$2.new" "$2"
END
    chmod 755 $programs/grub-mkconfig"#;

/// A system with two deployments, of which the new list will keep one: there is something to write, and something to remove.
pub(crate) fn story(filesystem: Filesystem, boot: Boot, entries: Entries, loader: Loader) -> Story {
    let name = format!("power-cut-{}-{boot:?}-{entries:?}-{loader:?}", filesystem.name()).to_lowercase();
    let story = Story { kernel_bytes: 200_000, initramfs_bytes: 300_000, ..Story::named(name) }.on(filesystem);
    let story = match boot {
        // GRUB's paths begin at the partition's root.
        Boot::Same => story.configured("sysroot.bootprefix", "true"),
        Boot::Separate => story.with_boot_on(filesystem),
        Boot::Labelled => story.with_boot_on(filesystem).first_tree(SELINUX_POLICY),
        Boot::Small => story.with_boot_on(filesystem).installed(FILLER),
    };
    if boot == Boot::Labelled {
        // libostree executes semodule, which this tree does not have: so it finalizes nothing here.
        return story.tree("os/c", "3", "kernel 3 6.3.0").then(EDITS).stage("os/c");
    }
    let story = match loader {
        Loader::Entries => story,
        other => story.configured("sysroot.bootloader", "auto").installed(other.installed()),
    };
    let story = match entries {
        Entries::Change => story.tree("os/b", "2", "kernel 2 6.2.0").tree("os/c", "3", "kernel 3 6.3.0"),
        // Nothing that an entry shows.
        Entries::Stay => {
            story.tree("os/b", "1", "echo b >usr/lib/release").tree("os/c", "1", "echo c >usr/lib/release")
        }
    };
    story.stage("os/b").reboot().then(EDITS).stage("os/c")
}
