//! A generator that cannot do its work says so, and leaves no half of a file.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;

use crate::{OURS, guest_with_ours};

/// An ordinary machine.
const MACHINE: &str = "mkdir -p /sysroot/boot /boot /run/ostree /run/given; ln -s loader.1 /sysroot/boot/loader
    echo 'ostree=/ostree/boot.1/os/0123abcd/0' >/run/given/cmdline; mount --bind /run/given/cmdline /proc/cmdline
    run() { status=0; \"$@\" 2>&1 || status=$?; echo \"status $status\"; }\n";

pub(crate) fn a_directory_that_is_missing_or_full_is_named(guest: Guest) -> Result<()> {
    let script = format!(
        "{MACHINE}
        run {OURS}/ostree-system-generator /run/nowhere /run/nowhere /run/nowhere
        for size in nr_inodes=1 nr_inodes=2 nr_inodes=3 nr_inodes=4 nr_inodes=6 size=4k; do
            mkdir -p /run/full; mount -t tmpfs -o $size full /run/full
            test $size != size=4k || head -c 4096 /dev/zero >/run/full/filler
            echo \"with $size:\"; run {OURS}/ostree-system-generator /run/full /run/full /run/full
            find /run/full -type f ! -name filler -size -100c; find /run/full -name '.*'
            umount /run/full
        done
        run {OURS}/ostree-system-generator /run/full
        run {OURS}/ostree-system-generator 1 2 3 4"
    );
    let output = guest_with_ours(guest)?.run(&script)?;
    let [missing, full @ ..] = &output.split("with ").collect::<Vec<_>>()[..] else { anyhow::bail!("{output}") };
    ensure!(
        *missing
            == "ostree-system-generator: /var and /boot are not mounted by this boot: cannot open /run/nowhere: No such file or \
                directory (os error 2)\nstatus 1\n",
        "{missing}"
    );
    ensure!(full.len() == 6, "{output}");
    for one in full {
        let mut lines = one.lines();
        let (_, message, status) = (lines.next(), lines.next().unwrap_or_default(), lines.next());
        ensure!(message.contains(": cannot ") && message.contains("No space left on device"), "{one}");
        ensure!(status == Some("status 1"), "{one}");
        let rest: Vec<&str> = lines.take_while(|line| !line.contains("three directories")).collect();
        ensure!(rest.is_empty(), "half a file: {rest:?}");
    }
    ensure!(output.matches("three directories are needed as arguments, or none\nstatus 2\n").count() == 2, "{output}");
    Ok(())
}

pub(crate) fn a_run_that_cannot_be_written_to_is_no_obstacle(guest: Guest) -> Result<()> {
    let script = format!(
        "{MACHINE}
        touch /run/ostree/initramfs-mount-var; mkdir -p /tmp/units /tmp/more; mount -o remount,ro /run
        run {OURS}/ostree-system-generator /tmp/units /tmp/units /tmp/units; ls -A /tmp/units
        mount -o remount,rw /run; rm /run/ostree/initramfs-mount-var; mount -o remount,ro /run
        run {OURS}/ostree-system-generator /tmp/units /tmp/units /tmp/units; ls -A /tmp/units"
    );
    let output = guest_with_ours(guest)?.run(&script)?;
    let said =
        "ostree-system-generator: cannot remove /run/ostree/initramfs-mount-var: Read-only file system (os error 30)\n";
    let expected = format!(
        "{said}status 0\nstatus 0\nboot.mount\nlocal-fs.target.requires\nmulti-user.target.wants\nsysroot.mount.d\nvar.mount\n"
    );
    ensure!(output == expected, "{output}");
    Ok(())
}

/// Each call that the generator makes fails once, or is its last one.
pub(crate) fn whatever_call_fails_no_file_is_half_there(guest: Guest) -> Result<()> {
    let calls = "unlinkat,newfstatat,openat,openat2,read,write,renameat2,symlinkat,mkdirat";
    let script = format!(
        "{MACHINE}
        library=/host/usr/lib/x86_64-linux-gnu
        trace() {{ $library/ld-linux-x86-64.so.2 --library-path $library /host/usr/bin/strace -o /run/trace \"$@\" 2>&1; }}
        try() {{
            rm -rf /run/units; mkdir /run/units
            status=0; trace \"$@\" {OURS}/ostree-system-generator /run/units /run/units /run/units || status=$?
            echo \"status $status\"; find /run/units -type f -printf '%f %s\\n' | sort; echo 'end of a run'
        }}
        try -e trace={calls}
        for call in $(echo {calls} | tr , ' '); do
            count=$(grep -c \"^$call(\" /run/trace || :)
            cp /run/trace /run/whole
            for n in $(seq 1 $count); do
                echo \"$call $n\"; try -e trace=$call -e inject=$call:error=EIO:when=$n
                echo \"$call $n\"; try -e trace=$call -e inject=$call:signal=KILL:when=$n
            done
            cp /run/whole /run/trace
        done"
    );
    let namespace = guest_with_ours(guest)?.bound(std::path::Path::new("/"), "/host");
    let output = namespace.run(&script)?;
    let mut runs = output.split("end of a run\n");
    let whole: Vec<&str> = runs.next().unwrap_or_default().lines().skip(1).collect();
    ensure!(whole.len() == 3, "{whole:?}");
    let mut count = 0;
    for run in runs.filter(|run| !run.is_empty()) {
        count += 1;
        let lines: Vec<&str> = run.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("status ")).unwrap_or_default();
        let (said, files) = lines.split_at(at + 1);
        for file in files.iter().filter(|file| !file.starts_with('.')) {
            ensure!(whole.contains(file), "half a file: {run}");
        }
        let killed = said.last() == Some(&"status 137");
        let is_success = said.last() == Some(&"status 0");
        // An error that is no success is told. One that changes nothing is none.
        ensure!(killed || is_success || said.len() > 2, "nothing is said: {run}");
        let has_var = files.iter().any(|file| file.starts_with("var.mount "));
        ensure!(killed || has_var || !is_success, "a boot without /var is a success: {run}");
        ensure!(!files.iter().any(|file| file.starts_with('.')) || killed, "a file is left over: {run}");
    }
    ensure!(count > 40, "only {count} runs");
    Ok(())
}
