//! How full `/boot` may be: whether an update fits is decided by the blocks that root gets, not by an estimate with a margin.

use namespace_tests::finalize::{Filesystem, Story};
use qemu_tests::guest::Guest;

use crate::scenario::Scenario;

/// A `/boot` of 24 MB in which each kernel takes 6 MB.
pub(crate) fn small_boot(name: &str) -> Story {
    let story = Story::named(name).tree("os/next", "2", "kernel 2").with_boot_on(Filesystem::Ext4);
    Story { boot_size: "24M".to_owned(), kernel_bytes: 3_000_000, initramfs_bytes: 3_000_000, ..story }
}

/// Fills `/boot` until so many KiB are left to others than root.
pub(crate) fn filled_up_to(left: u32) -> String {
    format!("fallocate --length $((4096 * ($(stat --file-system --format=%a /boot) - {left} / 4))) /boot/filler")
}

/// Booted, rollback and new: the new kernel comes when the rollback's is gone.
fn three(name: &str, left: u32) -> Scenario {
    let story = small_boot(name).tree("os/later", "3", "kernel 3").stage("os/next").reboot();
    Scenario::of(story.then(filled_up_to(left)).stage("os/later"))
}

pub(crate) fn all() -> Vec<Scenario> {
    // ext4 keeps 5 % for root, which are in none of these figures.
    let without_reserve = |story: Scenario| {
        let reserve = "tune2fs -m 0 $(findmnt --noheadings --output SOURCE --target /target/boot) >/dev/null";
        Scenario { story: story.story.installed(reserve), ..story }
    };
    let reserve = "tune2fs -m 40 $(findmnt --noheadings --output SOURCE --target /target/boot) >/dev/null";
    vec![
        without_reserve(three("boot-with-900-kib", 900)).only_with(Guest::Forky),
        without_reserve(three("boot-with-300-kib", 300)).only_with(Guest::Forky),
        without_reserve(three("boot-with-60-kib", 60)),
        three("boot-with-only-the-reserve", 0),
        // Nothing could go, and nothing has to.
        Scenario::of(small_boot("boot-with-a-large-reserve").installed(reserve).then(filled_up_to(0)).stage("os/next")),
        Scenario::of(small_boot("boot-with-just-enough").then(filled_up_to(5900)).stage("os/next")),
    ]
}
