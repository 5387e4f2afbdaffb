//! The systems that are finalized.

use namespace_tests::finalize::{Filesystem, Story};

/// A staged update, and what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct System {
    /// For the table.
    pub(crate) name: String,
    /// How it came to be.
    pub(crate) story: Story,
    /// How many files the machine has in `/etc`.
    pub(crate) files: u32,
    /// How many it changed.
    pub(crate) changed: u32,
}

/// Files in one directory.
const PER_DIRECTORY: u32 = 5_000;
/// Of the new tree and of the old one, as Debian's generic initramfs and kernel have.
const INITRAMFS: usize = 62_000_000;
const KERNEL: usize = 10_000_000;

/// A usual `/etc`: a few dozen files, three of them the machine's own. `/boot` is a directory of the physical root.
pub(crate) fn small() -> System {
    let story = Story {
        root_size: "1G".to_owned(),
        boot_size: "500M".to_owned(),
        kernel_bytes: KERNEL,
        initramfs_bytes: INITRAMFS,
        ..Story::named("bench-small-etc")
    };
    let story = story
        .tree("os/next", "2", "kernel 2; echo vendor >>usr/etc/conf.d/00001.conf")
        .then("cd /etc/conf.d; for f in 00005 00015 00025; do echo mine >>$f.conf; done")
        .stage("os/next");
    System { name: "small /etc".to_owned(), story, files: 35, changed: 3 }
}

/// The same with `/boot` on a filesystem of its own: kernel and initramfs have to be copied there.
pub(crate) fn small_with_separate_boot() -> System {
    let system = small();
    let mut story = system.story.with_boot_on(Filesystem::Ext4);
    story.name = "bench-small-etc-separate-boot".to_owned();
    System { name: "small /etc, separate /boot".to_owned(), story, ..system }
}

/// Files of a kilobyte, a tenth of them changed by the machine, a hundredth by the vendor.
pub(crate) fn many(files: u32) -> System {
    let directories = (files / PER_DIRECTORY).max(1);
    let each = files / directories;
    let make = format!(
        "text=$(printf '%01000d' 0)\n\
         for d in $(seq {directories}); do mkdir usr/etc/$d.d; many_files usr/etc/$d.d {each} $d$text; done"
    );
    let append = |files: &str, line: &str| format!("for f in {files}; do echo {line} >>$f; done");
    let story = Story {
        // A block for each file in the repository and in the /etc of both deployments, and an inode for each 16 kB.
        root_size: format!("{}M", 1_000 + files / 1_000 * 70),
        ..Story::named(format!("bench-etc-{files}-files"))
    };
    let story = story
        .first_tree(make)
        .tree("os/next", "2", format!("kernel 2; {}", append("usr/etc/[0-9]*.d/*00.conf", "vendor")))
        .then(append("/etc/[0-9]*.d/*5.conf", "mine"))
        .stage("os/next");
    let shown = if files < 1_000 { files.to_string() } else { format!("{},{:03}", files / 1_000, files % 1_000) };
    System { name: format!("{shown} files"), story, files, changed: files / 10 }
}
