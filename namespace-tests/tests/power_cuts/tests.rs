//! What is tested.

use namespace_tests::finalize::{Contestant, Filesystem};
use qemu_tests::guest::Guest;

use crate::disks::{Boot, Entries, Loader};

/// A finalization, and what its power cuts leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test {
    pub(crate) contestant: Contestant,
    pub(crate) guest: Guest,
    pub(crate) filesystem: Filesystem,
    pub(crate) boot: Boot,
    pub(crate) entries: Entries,
    pub(crate) loader: Loader,
    pub(crate) expected: Expected,
    /// Whether it is left out of the sample.
    pub(crate) only_in_all: bool,
}

/// How it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Every cut leaves a machine that boots.
    NoneIsBad,
    /// At least one does not.
    SomeAreBad,
    /// They are counted.
    Figures,
}

impl Test {
    /// Its name, which is a sentence.
    pub(crate) fn name(&self) -> String {
        let Test { filesystem, boot, entries, loader, .. } = self;
        let loader = if *loader == Loader::Entries { String::new() } else { format!("_{loader:?}") };
        let disk = format!("{}_{boot:?}_boot_entries_{entries:?}{loader}", filesystem.name()).to_lowercase();
        match self.contestant {
            Contestant::Ours => format!("ours::every_power_cut_leaves_a_system_that_boots::{disk}"),
            Contestant::Sabotaged(what) => format!("sabotaged::{}_is_noticed::{disk}", what.replace('-', "_")),
            Contestant::Peer => format!("peer::{}::{disk}", self.guest),
        }
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    for filesystem in [Filesystem::Ext4, Filesystem::Xfs] {
        for boot in [Boot::Same, Boot::Separate, Boot::Small] {
            for entries in [Entries::Change, Entries::Stay] {
                // Without a new kernel nobody needs room.
                if boot == Boot::Small && entries == Entries::Stay {
                    continue;
                }
                let ours = Test {
                    contestant: Contestant::Ours,
                    guest: Guest::Trixie,
                    filesystem,
                    boot,
                    entries,
                    loader: Loader::Entries,
                    expected: Expected::NoneIsBad,
                    only_in_all: boot == Boot::Small && filesystem == Filesystem::Xfs,
                };
                tests.push(ours);
                tests.extend(sabotages(ours));
                if (filesystem, boot, entries) == (Filesystem::Ext4, Boot::Same, Entries::Change) {
                    // syslinux and U-Boot are written in the same way.
                    let with = |loader| Test { loader, only_in_all: loader == Loader::Uboot, ..ours };
                    tests.extend([Loader::Syslinux, Loader::Uboot, Loader::Grub].map(with));
                }
                for guest in Guest::booted() {
                    let expected = Expected::Figures;
                    tests.push(Test { contestant: Contestant::Peer, guest, expected, only_in_all: true, ..ours });
                }
            }
        }
    }
    tests.push(Test {
        contestant: Contestant::Ours,
        guest: Guest::Trixie,
        filesystem: Filesystem::Ext4,
        boot: Boot::Labelled,
        loader: Loader::Entries,
        entries: Entries::Change,
        expected: Expected::NoneIsBad,
        only_in_all: false,
    });
    tests
}

/// What can be noticed on a disk.
///
/// Where only boot links are swapped, no boot loader has to see it, and replacing a link is as good as exchanging it. On ext4,
/// syncfs(2) writes to its place what the journal has: without a freeze, all that is missing is a flush. XFS writes in the
/// order of addresses, which on a new `/boot` puts the block of a directory before its inode.
fn sabotages(ours: Test) -> impl Iterator<Item = Test> {
    let anywhere = ["link-not-atomic", "no-sync"];
    let further: &[&str] = match (ours.filesystem, ours.entries) {
        (Filesystem::Xfs, Entries::Change) if ours.boot == Boot::Same => {
            &["no-freeze", "entries-in-place", "directory-in-its-inode"]
        }
        (Filesystem::Xfs, Entries::Change) => &["no-freeze", "entries-in-place"],
        (Filesystem::Ext4, Entries::Change) if ours.boot == Boot::Same => &["entries-in-place", "rename"],
        (Filesystem::Ext4, Entries::Change) => &["entries-in-place"],
        _ => &[],
    };
    let sabotaged = move |what: &'static str| Test {
        contestant: Contestant::Sabotaged(what),
        expected: Expected::SomeAreBad,
        only_in_all: ours.boot != Boot::Same,
        ..ours
    };
    let all: Vec<Test> = anywhere.iter().chain(further).map(|what| sabotaged(what)).collect();
    all.into_iter().filter(move |_| ours.boot != Boot::Small)
}
