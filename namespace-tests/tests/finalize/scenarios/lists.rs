//! Which deployments there are, before and after.

use namespace_tests::finalize::{Filesystem, Story};

use crate::differences;
use crate::scenario::Scenario;

const SAME_KERNEL: &str = "echo 2 >usr/lib/release";

/// A system that was updated once, with three trees that differ in nothing that an entry shows.
fn updated(name: &str) -> Story {
    Story::named(name)
        .tree("os/b", "1", "echo b >usr/lib/release")
        .tree("os/c", "1", "echo c >usr/lib/release")
        .tree("os/d", "1", "echo d >usr/lib/release")
        .stage("os/b")
        .reboot()
}

/// A system that was updated once, with another kernel in each tree.
fn updated_kernels(name: &str) -> Story {
    Story::named(name)
        .tree("os/b", "2", "kernel 2 6.2.0")
        .tree("os/c", "3", "kernel 3 6.3.0")
        .tree("os/d", "4", "kernel 4 6.4.0")
        .stage("os/b")
        .reboot()
}

/// A second stateroot with a deployment of its own, that is not the default.
const OTHER: &str = "ostree admin os-init --sysroot=/target other\n\
    ostree admin deploy --sysroot=/target --os=other --not-as-default --karg-append=root=LABEL=other os/stable";

pub(crate) fn all() -> Vec<Scenario> {
    let update = |name: &str| Story::named(name).tree("os/next", "2", SAME_KERNEL);
    vec![
        Scenario::of(update("first-update-same-kernel").stage("os/next")),
        Scenario::of(Story { name: "first-update-new-kernel".to_owned(), ..Story::new_kernel() }),
        Scenario::of(Story::named("changed-version-only").tree("os/next", "2", "").stage("os/next")),
        Scenario::of(Story::named("no-version").tree("os/next", "", SAME_KERNEL).stage("os/next")),
        Scenario::of(Story::named("same-commit-again").stage("os/stable")),
        Scenario::of(Story::named("same-branch").tree("os/stable", "2", "kernel 2").then("ostree admin upgrade --stage")),
        Scenario::of(updated("only-boot-links-swap").stage("os/c")),
        Scenario::of(updated("boot-links-swap-back").stage("os/c").reboot().stage("os/d")),
        Scenario::of(updated("full-swap-after-boot-links").stage("os/c").reboot().stage("--karg-append=quiet os/d")),
        Scenario::of(updated("only-boot-links-swap-separate-boot").with_boot_on(Filesystem::Ext4).stage("os/c")),
        Scenario::of(updated_kernels("third-update").stage("os/c")),
        Scenario::of(updated_kernels("fourth-update").stage("os/c").reboot().stage("os/d")),
        Scenario::of(updated_kernels("booted-the-older-one").then("ostree admin set-default 1").boot_default().stage("os/c")),
        Scenario::of(updated_kernels("pinned").then("ostree admin pin 1").stage("os/c")),
        Scenario::of(updated_kernels("pinned-booted").then("ostree admin pin booted").stage("os/c")),
        Scenario::of(update("two-stateroots").installed(OTHER).stage("os/next")),
        Scenario::of(update("staged-for-another-stateroot").installed(OTHER).stage("--os=other os/next")),
        Scenario::of(
            update("staged-for-an-empty-stateroot")
                .installed("ostree admin os-init --sysroot=/target empty")
                .stage("--os=empty --karg=root=LABEL=empty os/next"),
        ),
        Scenario::of(update("no-merge").stage("--no-merge --karg=root=LABEL=root os/next")),
        Scenario::of(update("staged-twice").tree("os/later", "3", "kernel 3").stage("os/next").stage("os/later")),
        Scenario::of(update("locked").stage("--lock-finalization os/next")),
        Scenario::of(Story::named("nothing-staged")),
        Scenario::of(update("unstaged-again").stage("os/next").then("ostree admin undeploy 0")),
        Scenario::of(update("updated-flags").then("touch /etc/.updated /var/.updated").stage("os/next")),
        Scenario::of(
            update("leftovers-of-an-older-ostree")
                .then("ln -s deploy/nothing /sysroot/ostree/deploy/os/current; mkdir -p /sysroot/boot/loader.0/entries; echo x >/sysroot/boot/loader.0/entries/old.conf; ln -s boot.0.0 /sysroot/ostree/boot.0; mkdir -p /sysroot/ostree/boot.0.0/os/x")
                .stage("os/next"),
        ),
        Scenario::of(Story { read_only_sysroot: true, ..update("read-only-sysroot") }.stage("os/next")),
        Scenario::of(
            update("transient-origin-keys")
                .stage("os/next")
                .then("for o in /sysroot/ostree/deploy/os/deploy/*.origin; do if grep -q os/next $o; then printf '[origin]\\nrefspec=os/next\\noverride=1\\n\\n# note\\n[libostree-transient]\\nother=x\\n' >$o; fi; done"),
        )
        .differs(&differences::ORIGIN_COMMENTS),
        Scenario::of(
            update("leftover-of-the-other-subbootversion")
                .then("ln -s boot.0.1 /sysroot/ostree/boot.0; mkdir -p /sysroot/ostree/boot.0.1/os/x")
                .stage("os/next"),
        ),
        Scenario::of(update("foreign-entries").then("echo 'title Windows' >/boot/loader/entries/windows.conf").stage("os/next"))
            .differs(&differences::FOREIGN_ENTRIES),
        Scenario::of(
            updated_kernels("a-kernel-that-another-stateroot-uses")
                .installed(OTHER)
                .stage("os/c"),
        )
        .differs(&differences::KERNEL_OF_ANOTHER_STATEROOT),
        Scenario::of(update("damaged-staged-file").stage("os/next").then("echo nothing >/run/ostree/staged-deployment"))
            .differs(&differences::DAMAGED_STAGED_FILE),
        Scenario::of(update("cut-staged-file").stage("os/next").then("truncate -s 50 /run/ostree/staged-deployment"))
            .crashes()
            .differs(&differences::DAMAGED_STAGED_FILE),
        Scenario::of(update("old-failure-stamp").then("echo old >/boot/ostree/finalize-failure.stamp").stage("os/next")),
        Scenario::of(
            update("leftovers-in-boot")
                .stage("os/next")
                .then("mkdir -p /boot/ostree/os-gone /boot/ostree/os-$(printf a%.0s $(seq 64)) /boot/ostree/initramfs-overlays /sysroot/ostree/deploy/os/deploy/$(printf a%.0s $(seq 64)).0; echo x >/boot/ostree/os-gone/vmlinuz; echo x >/boot/ostree/other-file; echo x >/boot/mine; echo x >/sysroot/ostree/deploy/os/mine; echo x >/boot/ostree/initramfs-overlays/gone.img"),
        ),
    ]
}
