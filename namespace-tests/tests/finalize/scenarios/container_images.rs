//! What bootc 1.16 leaves for shutdown: the shapes of disks on which it had staged images.

use namespace_tests::finalize::Story;
use qemu_tests::guest::Guest;

use crate::scenario::Scenario;

/// Staged as bootc does it: all arguments are given, with the `ostree=` of the booted deployment in the middle, and those of the image
/// behind it; and the origin names an image.
const STAGE: &str = "ostree admin deploy --stage --os=$os --karg=root=LABEL=root --karg=rw --karg=$(grep -o 'ostree=[^ ]*' /proc/cmdline) \
        --karg=console=tty0 --karg=console=ttyS0 os/next\n\
    cd /sysroot/ostree/deploy/$os/deploy\n\
    for origin in *.origin; do\n\
        if grep -q os/next $origin; then\n\
            printf '[origin]\\ncontainer-image-reference=ostree-unverified-image:docker://registry.example/system:latest\\n' >$origin\n\
        fi\n\
    done";

/// The stateroot of every bootc installation; nothing of `os` is left.
const DEFAULT_STATEROOT: &str = "ostree admin os-init --sysroot=/target default\n\
    ostree admin deploy --sysroot=/target --os=default --karg-append=root=LABEL=root --karg-append=rw os/stable\n\
    ostree admin undeploy --sysroot=/target 1; rm -r /target/boot/ostree/os-*";

pub(crate) fn all() -> Vec<Scenario> {
    let update = |name: &str| Story::named(name).tree("os/next", "2", "kernel 2");
    let default = |name: &str| Story {
        read_only_sysroot: true,
        ..update(name)
            .configured("sysroot.bootprefix", "true")
            .configured("sysroot.readonly", "true")
            .installed(DEFAULT_STATEROOT)
    };
    vec![
        Scenario::of(update("bootc-arguments-of-the-image").then(format!("os=os\n{STAGE}"))),
        Scenario::of(default("bootc-default-stateroot").then(format!("mount -o remount,rw /sysroot; os=default\n{STAGE}"))),
        Scenario::of(
            default("bootc-loader-entries")
                .then("mount -o remount,rw /sysroot; printf 'x-options-source-tuned isolcpus=1 nohz=on\\nx-bootc-kargs quiet\\n' >>/boot/loader/entries/ostree-1.conf")
                .then(format!("mount -o remount,rw /sysroot; os=default\n{STAGE}")),
        )
        .only_with(Guest::Forky),
        Scenario::of(update("bootc-download-only").stage("--lock-finalization os/next")),
    ]
}
