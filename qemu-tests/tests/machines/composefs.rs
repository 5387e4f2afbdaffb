//! A composefs image as the root, beside the peer's; sealed and signed, which needs a kernel with fs-verity.

use anyhow::{Context, Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::report::Report;
use qemu_tests::scenario::Scenario;
use qemu_tests::sealing::{KEYS, NEWER, SIGNED, seal, signed_by, signed_twice};
use qemu_tests::signer::Signer;

use crate::beside_the_peer::both;
use crate::{contains, is_well, scenario};

fn is_an_image(report: &Report) -> Result<()> {
    let table = report.mount_table()?;
    let root = table.at("/").context("no mount at /")?;
    ensure!(root.fstype == "overlay" && root.source == "composefs", "{table}");
    Ok(())
}

pub(crate) fn an_image_is_the_root(guest: Guest) -> Result<()> {
    both(guest, "composefs", &[""], is_an_image)
}

/// The peer has none there.
pub(crate) fn an_image_is_the_root_without_an_initramfs(guest: Guest) -> Result<()> {
    let report = scenario(guest, "composefs-no-initramfs")?.run()?;
    is_well(&report)?;
    is_an_image(&report)
}

/// systemd remounts the root that fstab names, and cannot with an overlay: whoever changes to composefs takes it out.
const TAKE_ROOT_OUT: &str = "sed -i '\\# / #d' /etc/fstab";

/// Where `st_dev` is no device, systemd still finds the disk.
pub(crate) fn an_image_on_btrfs_is_the_root(guest: Guest) -> Result<()> {
    both(guest, "composefs-btrfs", &[TAKE_ROOT_OUT, ""], |report| {
        is_an_image(report)?;
        contains(&report.text("volatile-root")?, "/dev/block/")
    })
}

/// Of several disks none is the root's.
pub(crate) fn an_image_on_a_btrfs_of_two_disks_is_the_root(guest: Guest) -> Result<()> {
    let add_disk = format!(
        "set -e; {TAKE_ROOT_OUT}; mount -o remount,rw /sysroot; btrfs device add /dev/disk/by-id/virtio-spare /sysroot"
    );
    both(guest, "composefs-btrfs-two-disks", &[&add_disk, "btrfs filesystem show /sysroot"], |report| {
        is_an_image(report)?;
        contains(&report.script_output()?, "Total devices 2 ")?;
        let link = report.text("volatile-root")?;
        ensure!(link.is_empty(), "{link}");
        Ok(())
    })
}

/// A live system in memory, where the kernel does not mount the image itself; another overlay fits on top.
pub(crate) fn an_image_on_a_loop_device_is_the_root(guest: Guest) -> Result<()> {
    let script = "set -e; cat /sys/block/loop0/loop/backing_file /usr/share/common-licenses/GPL-3
        ostree admin unlock; echo new >/usr/new";
    let report = scenario(guest, "composefs-in-memory")?.run_script(script)?;
    is_well(&report)?;
    is_an_image(&report)?;
    ensure!(report.script_status()? == 0, "{}", report.script_output()?);
    contains(&report.script_output()?, "/.ostree.cfs\n")?;
    contains(&report.script_output()?, "GNU GENERAL PUBLIC LICENSE")
}

/// What is written in the first boot is gone in the second; and an ordinary user sees the root.
pub(crate) fn root_and_etc_are_transient(guest: Guest) -> Result<()> {
    let scripts = [
        "echo hello >/usr/written && echo hello >/etc/written && mkdir /data",
        "test ! -e /usr/written && test ! -e /etc/written && test ! -e /data && su nobody -s /bin/sh -c 'ls / /etc /usr'",
    ];
    both(guest, "composefs-transient", &scripts, |report| {
        is_an_image(report)?;
        ensure!(report.script_status()? == 0, "{}", report.script_output()?);
        Ok(())
    })
}

/// The peer takes that from the configuration only.
pub(crate) fn sealed_objects_are_demanded(guest: Guest) -> Result<()> {
    let sealed = seal("--karg-delete=ostree.prepare-root.composefs=no", "");
    both(guest, "composefs-verity", &[&sealed, ""], |report| {
        is_an_image(report)?;
        contains(&report.mount_table()?.at("/").context("no mount at /")?.to_string(), "verity=require")?;
        contains(&qemu_tests::booted_state::lines(&report.booted_state()?).join("\n"), "composefs.verity = true")
    })
}

/// `flip FILE BLOCK` changes a bit in a block of a file on the disk, below its seal; what is in memory stays as it was.
const FLIP: &str = "
    flip() {
        disk=$(findmnt --noheadings --output=SOURCE --nofsroot /sysroot)
        block=$(filefrag -v -b4096 $1 | awk -v n=$2 '
            $1 ~ /^[0-9]+:$/ && n >= $2 + 0 && n < $2 + $6 { print $4 + n - $2 }')
        dd if=$disk bs=4096 skip=$block count=1 iflag=direct of=/run/block status=none
        # Where an image has its header, too.
        byte=$(od -An -tu1 -j1030 -N1 /run/block)
        printf \"\\\\$(printf %03o $((byte ^ 1)))\" | dd of=/run/block bs=1 seek=1030 conv=notrunc status=none
        dd if=/run/block bs=4096 seek=$block oflag=direct conv=notrunc of=$disk status=none
    }
";

/// `verify` says what `--verify` finds out about the deployment that was made.
const VERIFY: &str = "
    key=/run/trusted.key; mkdir -p /etc/ostree; printf '[composefs]\nenabled=signed\n' >/etc/ostree/prepare-root.conf
    verify() { /usr/lib/firstroot/ostree-prepare-root --verify --keys $key /sysroot $(basename $deployment) || echo status $?; }
";

/// Signed and sealed it boots; an object that was changed since cannot be read, and all others can. Before that boot it is told.
pub(crate) fn what_is_signed_and_sealed_boots_and_what_was_changed_cannot_be_read(guest: Guest) -> Result<()> {
    let change = "
        flipped=$(object_of usr/share/common-licenses/GPL-3); unsealed=$(object_of usr/share/common-licenses/GPL-2)
        exchanged=$(object_of usr/share/common-licenses/Artistic)
        verify
        cp -al $exchanged /sysroot/kept; ln -f $unsealed $exchanged
        verify; mv /sysroot/kept $exchanged
        cp -al $unsealed /sysroot/kept; cp -a $unsealed /sysroot/new; mv /sysroot/new $unsealed
        verify; mv $unsealed /sysroot/new; mv /sysroot/kept $unsealed
        # In the image, its last block but one, and then an object; both have been read before.
        image=$deployment/.ostree.cfs; last=$(( $(stat -c %s $image) / 4096 - 1 ))
        flip $image $last; verify; flip $image $last
        flip $flipped 0; verify
        mv /sysroot/new $unsealed";
    let change =
        format!("echo '{}' >/run/trusted.key\n{VERIFY}\n{FLIP}\n{change}", Signer::number(1).key_file().trim_end());
    let read = "
        for file in GPL-3 GPL-2 LGPL-3; do
            if cat /usr/share/common-licenses/$file >/dev/null; then echo $file is read; fi
        done
        journalctl --boot --output=cat --unit=ostree-prepare-root.service --grep='Validated commit signature'";
    let reports = signed_by(1, guest)?.run_scripts(&[&seal(SIGNED, &change), read])?;
    let [sealed, signed] = reports.as_slice() else { anyhow::bail!("two boots") };
    let told = sealed.script_output()?;
    ensure!(sealed.script_status()? == 0, "{told}");
    let verdicts: Vec<&str> = told.lines().filter(|line| line.starts_with("/ostree/deploy/")).collect();
    let [good, exchanged, unsealed, image, flipped] = verdicts.as_slice() else {
        anyhow::bail!("five verdicts: {told}")
    };
    contains(good, "the image is sealed and is the one signed by a key of /run/trusted.key; its ")?;
    contains(good, "objects are sealed and unchanged")?;
    contains(exchanged, "common-licenses/Artistic): its fs-verity digest is ")?;
    contains(unsealed, "common-licenses/GPL-2): it is not sealed")?;
    contains(image, "its image .ostree.cfs cannot be read: Input/output error")?;
    contains(flipped, "common-licenses/GPL-3): it is sealed with fs-verity but cannot be read: Input/output error")?;
    ensure!(told.matches("status 1").count() == 4, "{told}");
    is_well(signed)?;
    is_an_image(signed)?;
    let booted = qemu_tests::booted_state::lines(&signed.booted_state()?).join("\n");
    contains(&booted, &format!("composefs.signed = /{KEYS}"))?;
    contains(&booted, "composefs.verity = true")?;
    let output = signed.script_output()?;
    contains(&output, &format!("Validated commit signature using '/{KEYS}'"))?;
    for file in ["GPL-3", "GPL-2"] {
        contains(&output, &format!("/usr/share/common-licenses/{file}: Input/output error"))?;
    }
    ensure!(output.contains("LGPL-3 is read\n") && output.matches("is read").count() == 1, "{output}");
    Ok(())
}

/// Nothing of the disk boots that nobody trusted has signed for, and the console says why.
fn is_refused(scenario: &Scenario, then: &str, reasons: &[&str]) -> Result<()> {
    let reports = scenario.run_scripts(&[&seal(SIGNED, then), ""])?;
    let [sealed, refused] = reports.as_slice() else { anyhow::bail!("two boots") };
    ensure!(sealed.script_status()? == 0, "{}", sealed.script_output()?);
    ensure!(!refused.came_up(), "it came up");
    let console = refused.console()?;
    reasons.iter().try_for_each(|reason| contains(&console, reason))
}

pub(crate) fn a_signature_of_somebody_else_is_refused(guest: Guest) -> Result<()> {
    is_refused(&signed_by(2, guest)?, "", &["cannot be verified: the commit", "is not signed by a key of /etc/ostree/"])
}

/// Sealed and whole, and of a commit that is signed as well: it boots as that commit's deployment, and as no other one.
pub(crate) fn an_image_of_an_older_signed_commit_is_refused(guest: Guest) -> Result<()> {
    let exchange = format!(
        "ostree admin deploy --os=default --retain {SIGNED} {NEWER}
         newer=$(ls -d /sysroot/ostree/deploy/default/deploy/$(ostree rev-parse {NEWER}).0)
         chattr -i $deployment $newer; mv $newer/.ostree.cfs $newer/kept; ln $deployment/.ostree.cfs $newer/.ostree.cfs"
    );
    let reasons = ["is not the signed one: its digest is", "the image was changed or replaced"];
    is_refused(&signed_twice(guest)?, &exchange, &reasons)
}

/// One bit below its seal, on the disk: the kernel gives out nothing of that block.
pub(crate) fn an_image_that_was_changed_below_its_seal_is_refused(guest: Guest) -> Result<()> {
    let flip = format!("{FLIP}\nflip $deployment/.ostree.cfs 0");
    is_refused(&signed_by(1, guest)?, &flip, &["composefs image of the deployment", "cannot be mounted"])
}

/// A small tree and its image, on a disk that is only a directory. Each image, or one of `$step`, is verified, and booted where nobody sees it.
const FUZZ: &str = "
    set -e
    tree=/var/tmp/tree; mkdir -p $tree/usr/etc $tree/usr/bin $tree/etc $tree/sysroot $tree/var
    for n in $(seq 30); do seq $n 300 >$tree/usr/bin/$n; ln -s $n $tree/usr/etc/$n; done
    disk=/var/tmp/disk; repo=$disk/ostree/repo; mkdir -p $repo
    ostree --repo=$repo init --mode=bare
    commit=$(ostree --repo=$repo commit --branch=fuzz --tree=dir=$tree --no-bindings)
    deployment=$disk/ostree/deploy/os/deploy/$commit.0; mkdir -p ${deployment%/*} $disk/ostree/deploy/os/var
    ostree --repo=$repo checkout -H fuzz $deployment
    cd $deployment; ostree --repo=$repo checkout --composefs fuzz .ostree.cfs
    mkdir -p etc/ostree; printf '[composefs]\nenabled=yes\n' | tee etc/ostree/prepare-root.conf >/etc/ostree/prepare-root.conf
    link=ostree/boot.0/os/$(printf '%064d' 0); mkdir -p $disk/$link; ln -s ../../../deploy/os/deploy/$commit.0 $disk/$link/0
    program=/usr/lib/firstroot/ostree-prepare-root
    try() {
        verdict=0; timeout 60 $program --verify $disk $commit.0 >/run/told 2>&1 || verdict=$?
        boot=0; timeout 60 unshare --mount sh -c \"
            mount -t tmpfs run /run && mount --bind $disk $disk && $program --systemd=no $disk ostree=/$link/0\" >>/run/told 2>&1 || boot=$?
        echo \"verdict $verdict boot $boot\"
        # What is good boots; what is bad may boot, until the bad part is read.
        case $verdict$boot in 00|[13][01]) ;; *) cat /run/told; exit 1 ;; esac
        if grep -q panicked /run/told; then cat /run/told; exit 1; fi
    }
    echo whole: $(try)
    # Sealed is nothing: here it could be, and in memory not.
    cp -a $disk /run/copy
    for place in $disk /run/copy; do
        $program --plan $place \"ostree=/$link/0 ostree.prepare-root.composefs=verity\" | grep ^warning: | cut -c 1-400
    done
    cp .ostree.cfs /run/whole; size=$(stat -c %s /run/whole)
    # Most of it is the header, inodes and names: the same images each time.
    for n in $(seq 1 $step 100); do
        cp /run/whole .ostree.cfs
        for k in 1 2 3 4; do
            at=$(( (n * 7919 + k * 104729 + n * n * k * 31) % size )); if [ $k = 1 ]; then at=$(( 1024 + n )); fi
            printf \"\\\\$(printf %03o $(( (n * 37 + k * 101) % 256 )))\" | dd of=.ostree.cfs bs=1 seek=$at conv=notrunc status=none
        done
        try
    done | sort | uniq -c
    if dmesg | grep -E 'BUG:|Oops|general protection'; then exit 1; fi";

/// Whatever is in an image, neither program nor kernel falls over it.
pub(crate) fn images_of_a_fuzzer_are_booted_or_refused(guest: Guest) -> Result<()> {
    let step = if crate::all_are_wanted() { 1 } else { 3 };
    let report = scenario(guest, "ext4")?.run_script(&format!("step={step}\n{FUZZ}"))?;
    let output = report.script_output()?;
    ensure!(report.script_status()? == 0, "{output}");
    contains(&output, "whole: verdict 0 boot 0")?;
    contains(
        &output,
        "is not sealed with fs-verity, so an attacker can change names and modes in it: set ex-integrity.fsverity=yes",
    )?;
    contains(&output, "fs-verity is required, but the filesystem has no fs-verity")?;
    contains(&output, "verdict 1 boot 1")
}
