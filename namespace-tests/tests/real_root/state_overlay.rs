//! What hides a file of the new tree goes, as with libostree, and the commit is noted when that is on the disk.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Machine, Story};
use qemu_tests::guest::Guest;

const THEIRS: &str = "ostree admin state-overlay";
const OURS: &str = "/run/ostree-state-overlay";

/// A directory of the tree, and an upper layer that was made over another tree.
const LAYERS: &str = "
    ln -s /usr/lib/firstroot/ostree-finalize-staged /run/ostree-state-overlay
    tree=/run/tree; mkdir -p $tree/vendor/bin $tree/vendor/opaque $tree/dir $tree/same/deep/deeper
    for file in vendor/bin/tool vendor/opaque/shipped file dir/x same/deep/deeper/shipped same/deep/shipped removed; do
        echo shipped >$tree/$file
    done
    ln -s vendor $tree/link; ln -s nowhere $tree/becomes-directory
    upper=/var/ostree/state-overlays/tree/upper; mkdir -p -m 0700 $upper
    mkdir -p $upper/vendor/bin $upper/vendor/opaque $upper/state/deep $upper/file $upper/link $upper/becomes-directory \\
        $upper/same/deep/deeper
    for file in vendor/bin/tool vendor/bin/mine vendor/opaque/mine state/deep/mine file/x dir becomes-directory/x \\
        same/deep/deeper/shipped same/deep/deeper/mine same/deep/shipped; do
        echo mine >$upper/$file
    done
    setfattr -n trusted.overlay.opaque -v y $upper/vendor/opaque
    mknod $upper/same/deep/gone c 0 0; mknod $upper/removed c 0 0; ln -s x $upper/own-link
    odd=$(printf 'x\\377\\ny'); touch \"$upper/$odd\" \"$tree/$odd\" \"$upper/$odd$odd\"
    setfattr -n user.ostree.deploymentcsum -v 0123 $upper
    mark() { getfattr --absolute-names --only-values -n user.ostree.deploymentcsum $upper 2>&1; echo; }
";

/// The layers as they are on the disk, the mount, and what is seen through it.
const SHOW: &str = "
    show() {
        (cd /var/ostree/state-overlays; find . -path './tree/work/*' -prune -o -printf '%p %y %m %l\\n' | LC_ALL=C sort); mark
        findmnt --noheadings --raw --output=TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS --mountpoint=/run/tree
        (cd /run/tree; find . -printf '%p %y %l\\n' | LC_ALL=C sort; cat file same/deep/deeper/* vendor/bin/*)
    }
";

fn machine(guest: Guest) -> Result<Machine> {
    Story::named("nothing-staged").staged(guest)?.copy()
}

/// The first boot of a tree, and a second one, before which a file of the tree was changed.
pub(crate) fn what_hides_the_new_tree_goes_as_with_libostree(guest: Guest) -> Result<()> {
    let run = |program: &str| {
        machine(guest)?.check(&format!(
            "{LAYERS}{SHOW}{program} tree /run/tree >&2; show
            echo changed >/run/tree/file; rm /run/tree/removed; umount /run/tree
            echo again; {program} tree /run/tree >&2; show"
        ))
    };
    let (theirs, ours) = (run(THEIRS)?, run(OURS)?);
    ensure!(ours == theirs, "libostree's:\n{theirs}\nours:\n{ours}");
    for (line, is_there) in [
        ("./tree/upper/state/deep/mine f 644 ", true),
        ("./tree/upper/same/deep/deeper/mine f 644 ", true),
        ("./tree/upper/same/deep/gone c 644 ", true),
        ("./tree/upper/same/deep/deeper/shipped f 644 ", false),
        ("./tree/upper/vendor/opaque d 755 ", false),
        ("changed", true),
    ] {
        ensure!(ours.lines().any(|found| found == line) == is_there, "{line:?} in {ours}");
    }
    Ok(())
}

/// What a power cut needs: removals, then all of it on the disk, then the mark on the disk, then the mount by which files change. A
/// failure before the mark leaves the old one, so the next boot does the work again.
pub(crate) fn the_mark_is_set_after_the_removals_are_on_the_disk(guest: Guest) -> Result<()> {
    let calls = "unlinkat,syncfs,fsync,fsetxattr,move_mount";
    let machine = machine(guest)?;
    let trace = machine.another()?.check(&format!(
        "{LAYERS}strace -qq -e trace={calls} -o /run/trace {OURS} tree /run/tree; cut -d '(' -f 1 /run/trace"
    ))?;
    let calls: Vec<&str> = trace.lines().collect();
    let removals = calls.iter().take_while(|call| **call == "unlinkat").count();
    let rest = calls.get(removals..).context("no calls")?;
    ensure!(removals > 8 && rest == ["syncfs", "fsetxattr", "fsync", "move_mount"], "{calls:?}");

    for injected in [
        "unlinkat:error=EIO:when=3",
        "unlinkat:signal=KILL:when=8",
        "syncfs:error=EIO",
        "syncfs:signal=KILL",
        "fsetxattr:error=ENOSPC",
        "fsync:error=EIO",
    ] {
        let output = machine.another()?.check(&format!(
            "{LAYERS}{SHOW}
            status=0; strace -qq -o /run/trace -e inject={injected} {OURS} tree /run/tree 2>&1 || status=$?
            echo \"status $status\"; mark; findmnt --mountpoint=/run/tree || :
            {OURS} tree /run/tree; show"
        ))?;
        let (first, second) = output.split_once("0123\n").map_or((output.as_str(), ""), |parts| parts);
        let is_marked = injected.starts_with("fsync");
        ensure!(second.is_empty() == is_marked, "{injected}: the mark is not the old one: {output}");
        ensure!(!first.contains("status 0"), "{injected}: {output}");
        ensure!(
            first.contains("KILL")
                || injected.contains("KILL")
                || first.contains("error: cannot make the state overlay"),
            "{injected}: {output}"
        );
        ensure!(
            !output.contains("./tree/upper/same/deep/deeper/shipped f"),
            "{injected}: the second run does not end the work: {output}"
        );
    }
    Ok(())
}
