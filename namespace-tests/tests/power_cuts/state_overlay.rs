//! A state overlay at the first boot of a new tree: after a power cut its mark is the old one, or no file of an older tree hides one of
//! this tree. What only the overlay has is never lost.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use namespace_tests::finalize::{Filesystem, Machine, Story};
use namespace_tests::power_cut::{Recording, Scratch, States};
use qemu_tests::guest::Guest;
use qemu_tests::host;

use crate::run::{FEW, cuts};

/// Where the overlay's upper layer is on the disk.
const UPPER: &str = "ostree/deploy/os/var/ostree/state-overlays/tree/upper";
const MARK: &str = "user.ostree.deploymentcsum";
/// The mark of the tree before.
const OLD: &[u8] = b"0123";

/// Files that hide one of the new tree, and files that the machine's programs have made.
const HIDING: [&str; 5] = ["tool", "vendor/bin/tool", "deep/a/b/c/shipped", "vendor/gone", "removed"];
const OWN: [&str; 3] = ["vendor/bin/state", "deep/a/b/c/state", "own/file"];

/// Makes the upper layer on the disk.
fn layers() -> String {
    format!(
        "upper=/var/ostree/state-overlays/tree/upper; mkdir -p -m 0700 $upper; cd $upper
        for file in {} {}; do mkdir -p $(dirname $file); echo mine >$file; done
        rm removed vendor/gone; mknod removed c 0 0; mknod vendor/gone c 0 0
        mkdir many; for number in $(seq 300); do echo mine >many/$number; done
        setfattr -n {MARK} -v {} .",
        HIDING.join(" "),
        OWN.join(" "),
        String::from_utf8_lossy(OLD)
    )
}

/// Makes the tree, which is in memory, and the program's name.
fn tree() -> String {
    format!(
        "ln -s /usr/lib/firstroot/ostree-finalize-staged /run/ostree-state-overlay
        mkdir /run/tree; cd /run/tree; for file in {}; do mkdir -p $(dirname $file); echo shipped >$file; done
        mkdir many; for number in $(seq 300); do echo shipped >many/$number; done; cd /",
        HIDING.join(" ")
    )
}

/// Who prepares the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    /// Ours, and what is synced before the mark does not reach the disk.
    NotSyncingRemovals,
    /// Ours, and nothing that it syncs reaches the disk.
    NotSyncing,
    /// One that writes the mark first.
    MarkingFirst,
}

impl Program {
    fn command(self) -> String {
        let ours = "/run/ostree-state-overlay tree /run/tree";
        let strace = "strace -f -qq -o /dev/null";
        match self {
            Program::Ours => ours.to_owned(),
            Program::NotSyncingRemovals => format!("{strace} -e inject=syncfs:retval=0 {ours}"),
            Program::NotSyncing => format!("{strace} -e inject=syncfs,fsync:retval=0 {ours}"),
            Program::MarkingFirst => format!(
                "upper=/var/ostree/state-overlays/tree/upper
                setfattr -n {MARK} -v $(basename $(readlink -f /sysroot/ostree/boot.?/os/*/0) .0) $upper; sync -f $upper
                (cd $upper; rm {}; rm many/*); sync -f $upper",
                HIDING.join(" ")
            ),
        }
    }
}

/// What a boot meets with: the mark, what hides the tree, and whether all that is the machine's is there.
fn judge(root: &Path, is_done: bool) -> Result<()> {
    let upper = root.join(UPPER);
    let mut mark = [0; 100];
    let length = rustix::fs::getxattr(&upper, MARK, &mut mark).context("reading the mark")?;
    let is_new = mark.get(..length) != Some(OLD);
    ensure!(is_new || !is_done, "the mark is the old one, after success");
    for name in OWN {
        let content = fs::read_to_string(upper.join(name)).with_context(|| format!("reading {name}"))?;
        ensure!(content == "mine\n", "{name} has become {content:?}");
    }
    let hiding = HIDING.iter().map(|name| (*name).to_owned()).chain((1..=300).map(|number| format!("many/{number}")));
    let left = hiding.filter(|name| upper.join(name).symlink_metadata().is_ok()).count();
    ensure!(!is_new || left == 0, "the mark is the new one, and {left} names hide the tree");
    Ok(())
}

fn machine(filesystem: Filesystem) -> Result<Machine> {
    let name = format!("power-cut-state-overlay-{}", filesystem.name());
    let story = Story { kernel_bytes: 1000, initramfs_bytes: 1000, ..Story::named(name) }.on(filesystem);
    let machine = story.staged(Guest::Trixie)?.copy()?;
    machine.check(&layers())?;
    Ok(machine)
}

/// Two copies of one btrfs are not mounted at a time: kernels before Linux 6.7 take them for one.
static BTRFS: Mutex<()> = Mutex::new(());

/// Returns how many power cuts were looked at.
fn every_power_cut(filesystem: Filesystem, program: Program) -> Result<usize> {
    let _alone = (filesystem == Filesystem::Btrfs).then(|| BTRFS.lock());
    host::in_a_mount_namespace(|| {
        let scratch = Scratch::new()?;
        let directory = scratch.directory("recording")?;
        let (recording, _) = Recording::while_running(machine(filesystem)?, &directory, |machine, marks| {
            machine.check(&format!("{}\n{}\n{}\n{}", tree(), marks.begin, program.command(), marks.end))
        })?;
        let cuts = cuts(&recording, FEW);
        let mut states = States::of(&recording, &directory)?;
        for cut in &cuts {
            states.look(*cut, judge)?;
        }
        Ok(cuts.len())
    })
}

/// Every power cut leaves the old mark, or a layer that hides nothing.
pub(crate) fn no_power_cut_leaves_what_hides_the_new_tree(filesystem: Filesystem) -> Result<()> {
    let cuts = every_power_cut(filesystem, Program::Ours)?;
    ensure!(cuts > 5, "only {cuts} power cuts were looked at");
    Ok(())
}

/// A program that is not careful is found out.
pub(crate) fn is_noticed(filesystem: Filesystem, program: Program) -> Result<()> {
    match every_power_cut(filesystem, program) {
        Err(error) if format!("{error:#}").contains("power cut ") => Ok(()),
        Err(error) => Err(error),
        Ok(cuts) => bail!("in {cuts} power cuts nobody noticed"),
    }
}
