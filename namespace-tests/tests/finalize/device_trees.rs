//! Directories of device trees, and trees with several kernels: the bootcsum is libostree's whatever is in them, and the kernel
//! is the one that libostree staged.

use anyhow::{Result, ensure};
use namespace_tests::finalize::{Filesystem, Machine, Story};
use qemu_tests::guest::Guest;

use crate::beside_the_peer;
use crate::ours::{boots_version, ours};
use crate::scenario::Scenario;

/// A tree with another kernel and a directory of device trees that this script fills.
fn with_dtb(edit: &str) -> String {
    format!("kernel 2\nmkdir usr/lib/modules/6.1.0/dtb\ncd usr/lib/modules/6.1.0/dtb\n{edit}")
}

const LINKS: &str = "mkdir -p vendor/empty ../../../firmware\n\
     echo a >a.dtb; echo b >vendor/b.dtb; echo hidden >.hidden; echo out >../../../firmware/out.dtb\n\
     chmod 600 a.dtb; chmod 700 vendor\n\
     ln -s a.dtb link.dtb; ln -s missing dangling.dtb; ln -s ../a.dtb vendor/up.dtb; ln -s vendor/b.dtb down.dtb\n\
     ln -s ../../../../firmware/out.dtb vendor/out.dtb; ln -s ../vmlinuz kernel.dtb";

/// `--prepare` compares the bootcsum that libostree staged with the one of the files.
fn is_whole(machine: &Machine) -> Result<()> {
    for arguments in [&["--prepare"][..], &[]] {
        let said = ours(machine, arguments)?;
        ensure!(!said.contains("damaged"), "{said}");
    }
    Ok(())
}

pub(crate) fn device_trees_with_links_are_those_of_the_peer(guest: Guest) -> Result<()> {
    let story = Story::named("dtb-links").with_boot_on(Filesystem::Ext4).tree("os/next", "2", with_dtb(LINKS));
    let story = story.stage("os/next");
    beside_the_peer::the_same_is_left(&Scenario::of(story.clone()), guest)?;
    let machine = story.staged(guest)?.copy()?;
    is_whole(&machine)?;
    boots_version(&machine, "2")
}

/// What the peer has copied is a perfect copy, at the next update as well.
pub(crate) fn a_copy_of_device_trees_with_links_is_not_damaged(guest: Guest) -> Result<()> {
    let story = Story::named("dtb-links-again").with_boot_on(Filesystem::Ext4);
    let story = story.tree("os/next", "2", with_dtb(LINKS)).tree("os/later", "3", "echo 3 >usr/lib/release");
    let machine = story.stage("os/next").reboot().stage("os/later").staged(guest)?.copy()?;
    is_whole(&machine)?;
    boots_version(&machine, "3")
}

pub(crate) fn device_trees_are_as_many_and_as_deep_as_they_are(guest: Guest) -> Result<()> {
    let many =
        "many_files . 5000 tree; perl -e 'for (1 .. 2000) { mkdir \"d\"; chdir \"d\" } open F, \">f\"; print F 1'";
    let story = Story { boot_size: "200M".to_owned(), ..Story::named("dtb-many-and-deep") };
    let story = story.with_boot_on(Filesystem::Ext4).tree("os/next", "2", with_dtb(many)).stage("os/next");
    let machine = story.staged(guest)?.copy()?;
    is_whole(&machine)?;
    let found = machine
        .check("cd /boot/ostree/*/dtb; ls | wc -l; perl -e 'chdir \"d\" || die for 1 .. 2000; die unless -s \"f\"'")?;
    ensure!(found == "5001\n", "{found}");
    boots_version(&machine, "2")
}

/// So there is no deployment with one of them whose bootcsum could be on record.
pub(crate) fn the_peer_deploys_no_device_trees_with_a_loop(guest: Guest) -> Result<()> {
    let story = Story::named("dtb-loops")
        .tree("os/dot", "2", with_dtb("ln -s . x"))
        .tree("os/self", "3", with_dtb("ln -s x x"))
        .tree("os/directory", "4", with_dtb("mkdir d; ln -s d x"));
    let machine = story.staged(guest)?.copy()?;
    for (branch, reason) in
        [("dot", "Is a directory"), ("self", "Too many levels of symbolic links"), ("directory", "Is a directory")]
    {
        let outcome = machine.run(&format!("ostree admin deploy --stage os/{branch}"))?;
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(reason), "{branch}: {outcome:?}");
    }
    Ok(())
}

/// Which one libostree takes depends on the order in which the filesystem lists them: of eight it is rarely the first by name.
const SEVERAL: &str = "kernel 2\nfor v in 1 2 3 4 5 6 7; do d=usr/lib/modules/$v.0-old; mkdir $d; echo $v >$d/vmlinuz; echo $v >$d/initramfs.img; done";

pub(crate) fn of_several_kernels_the_one_that_was_staged_is_installed(guest: Guest) -> Result<()> {
    for filesystem in [Filesystem::Ext4, Filesystem::Btrfs] {
        let story = Story::named(format!("several-kernels-{}", filesystem.name()))
            .on(filesystem)
            .tree("os/next", "2", SEVERAL)
            .tree("os/later", "3", "echo 3 >usr/lib/release");
        let update = Scenario::of(story.clone().stage("os/next"));
        beside_the_peer::the_same_is_left(&update, guest)?;
        // What was installed stays as it is.
        let again =
            Story { name: format!("{}-again", story.name), ..story.stage("os/next").reboot().stage("os/later") };
        beside_the_peer::the_same_is_left(&Scenario::of(again), guest)?;
    }
    Ok(())
}
