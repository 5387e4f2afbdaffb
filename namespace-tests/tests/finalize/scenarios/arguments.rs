//! Kernel arguments, and what the repository's config does to entries.

use namespace_tests::finalize::Story;
use qemu_tests::guest::Guest;

use crate::differences;
use crate::scenario::Scenario;

fn update(name: &str) -> Story {
    Story::named(name).tree("os/next", "2", "kernel 2")
}

pub(crate) fn all() -> Vec<Scenario> {
    let same_kernel = |name: &str| Story::named(name).tree("os/next", "2", "echo 2 >usr/lib/release");
    let twice = |name: &str| update(name).tree("os/later", "3", "kernel 3");
    vec![
        Scenario::of(same_kernel("argument-added").stage("--karg-append=quiet os/next")),
        Scenario::of(same_kernel("argument-replaced").stage("--karg=root=LABEL=new os/next")),
        Scenario::of(same_kernel("argument-removed").stage("--karg-delete=rw os/next")),
        Scenario::of(same_kernel("no-arguments").stage("--karg-none os/next")).differs(&differences::EMPTY_ARGUMENT),
        Scenario::of(same_kernel("argument-with-spaces").stage("'--karg-append=dyndbg=\"file a.c +p; b\"' os/next")),
        Scenario::of(same_kernel("same-argument-twice").stage("--karg-append=console=tty0 --karg-append=console=ttyS0 os/next")),
        Scenario::of(update("bootprefix").configured("sysroot.bootprefix", "true").stage("os/next")),
        Scenario::of(
            update("further-keys-except-default")
                .configured("sysroot.bls-append-except-default", "grub_users=\"\";key=value")
                .stage("os/next"),
        ),
        Scenario::of(twice("boot-counting").configured("sysroot.boot-counting-tries", "3").stage("os/next"))
            .only_with(Guest::Forky),
        Scenario::of(
            twice("boot-counting-again")
                .configured("sysroot.boot-counting-tries", "3")
                .stage("os/next")
                .reboot()
                .stage("os/later"),
        )
        .only_with(Guest::Forky),
        Scenario::of(
            twice("boot-counting-counted")
                .configured("sysroot.boot-counting-tries", "3")
                .stage("os/next")
                .reboot()
                .then("cd /boot/loader/entries; mv ostree-2+3.conf ostree-2+2-1.conf")
                .stage("os/later"),
        )
        .only_with(Guest::Forky),
        Scenario::of(
            twice("boot-counting-blessed")
                .configured("sysroot.boot-counting-tries", "3")
                .stage("os/next")
                .reboot()
                .then("cd /boot/loader/entries; mv ostree-2+3.conf ostree-2.conf")
                .stage("os/later"),
        )
        .only_with(Guest::Forky),
        Scenario::of(update("older-entry-names").stage("os/next"))
            .environment("OSTREE_SYSROOT_OPTS=bootloader-naming-1"),
        Scenario::of(
            update("keys-of-the-administrator")
                .then("cd /boot/loader/entries; printf 'grub_arg --unrestricted\\nx-mine a b\\n# a comment\\n' >>ostree-1.conf")
                .stage("os/next"),
        ),
        Scenario::of(update("pretty-name-with-version").tree("os/next", "2", "printf 'PRETTY_NAME=\"System 2 beta\"\\n' >usr/lib/os-release").stage("os/next")),
        Scenario::of(update("name-without-pretty").tree("os/next", "2", "printf 'NAME=Plain\\nID=plain\\n' >usr/lib/os-release").stage("os/next")),
        Scenario::of(update("os-release-in-etc").tree("os/next", "2", "rm usr/lib/os-release usr/etc/os-release; printf \"PRETTY_NAME='In etc'\\n\" >usr/etc/os-release").stage("os/next")),
    ]
}
