//! A reading call that fails is no absence: the answer is an error, or the one that there is without it.

use anyhow::{Result, ensure};
use namespace_tests::every_call_is_wanted;
use namespace_tests::finalize::{Boot, Contestant, Filesystem, Story};
use qemu_tests::guest::Guest;

/// What reads, and what it can fail with. `getdents64` tells what is in a directory, `statx` and `newfstatat` what is there.
const CALLS: [&str; 9] =
    ["openat", "openat2", "statx", "newfstatat", "readlinkat", "getdents64", "read", "fstatfs", "flistxattr"];
const ERRORS: [&str; 4] = ["EIO", "EMFILE", "EACCES", "ENOMEM"];

/// Runs `--plan` in the booted system, with each call of a name refused once. Prints the names of the cases in which it succeeds and
/// says something else.
const SCRIPT: &str = r#"
program="/usr/lib/firstroot/ostree-finalize-staged --plan"
$program >/run/wanted
refused=0
for call in $calls; do
    total=$(/run/fixture/tools/strace -f -qq -e trace=$call -o /dev/stdout $program | grep -c "^[0-9]* *$call(")
    number=$first
    while [ $number -le $total ]; do
        for error in $errors; do
            if /run/fixture/tools/strace -f -qq -o /dev/null -e trace=$call -e inject=$call:error=$error:when=$number \
                $program >/run/said 2>/run/errors; then
                cmp -s /run/wanted /run/said || {
                    echo "wrong: $call $number of $total: $error"
                    diff /run/wanted /run/said
                }
            else
                refused=$((refused + 1))
                [ -s /run/errors ] || echo "silent: $call $number of $total: $error"
            fi
        done
        number=$((number + step))
    done
done
echo "refused: $refused"
"#;

/// The plan says what is on the disk, or that it could not be read.
pub(crate) fn a_plan_is_whole_or_an_error(guest: Guest) -> Result<()> {
    let story = Story::named("reading-errors")
        .configured("sysroot.bootloader", "auto")
        .tree("os/next", "2", "kernel 2; echo new >usr/etc/conf.d/00003.conf")
        .tree("os/later", "3", "kernel 3")
        .stage("os/next")
        .reboot()
        .then("rm /etc/conf.d/00001.conf; echo mine >/etc/hostname; echo 'title Windows' >/boot/loader/entries/windows.conf")
        .stage("os/later");
    // Every call costs twenty runs; which of them are tried is the same each time.
    let (first, step) = if every_call_is_wanted() { (1, 1) } else { (1, 7) };
    for (name, boot) in [("same", Boot::Same), ("separate", Boot::Separate(Filesystem::Ext4))] {
        let story = Story { boot, name: format!("reading-errors-{name}"), ..story.clone() };
        let machine = story.staged(guest)?.copy()?;
        let settings =
            format!("calls='{}'; errors='{}'; first={first}; step={step}\n", CALLS.join(" "), ERRORS.join(" "));
        let said = machine.check(&format!("{settings}{SCRIPT}"))?;
        let lines: Vec<&str> = said.lines().collect();
        let [refused] = lines.as_slice() else { anyhow::bail!("{name}:\n{said}") };
        let refused: u32 = refused.trim_start_matches("refused: ").parse()?;
        ensure!(refused > 50, "only {refused} calls were refused");
    }
    Ok(())
}

/// The same of a whole finalization: it fails and the old system stays, or what it leaves is what it leaves without the error.
pub(crate) fn a_finalization_is_whole_or_an_error(guest: Guest) -> Result<()> {
    let story = Story::named("reading-errors-run")
        .tree("os/next", "2", "kernel 2")
        .tree("os/later", "3", "kernel 3")
        .stage("os/next")
        .reboot()
        .stage("os/later");
    let machine = story.staged(guest)?.copy()?;
    machine.check("echo 'title Windows' >/boot/loader/entries/windows.conf; echo mine >/etc/hostname")?;
    let mut refused = 0;
    for (call, error, step, most) in [
        ("openat2", "EIO", 13, 130),
        ("statx", "EMFILE", 11, 100),
        ("getdents64", "EIO", 5, 60),
        ("readlinkat", "EACCES", 1, 6),
    ] {
        for number in (1..=most).step_by(step) {
            let machine = machine.another()?;
            let inject = format!("inject={call}:error={error}:when={number}");
            let options = ["-e", &format!("trace={call}"), "-e", &inject, "-o", "/dev/null"];
            let outcome = machine.strace(Contestant::Ours, &options)?.outcome;
            let case = format!("{call} {number}: {error}: {}", outcome.stderr);
            let wanted = if outcome.code == Some(0) { "Version: 3\n" } else { "Version: 2\n" };
            refused += usize::from(outcome.code != Some(0));
            machine.boot_default()?;
            let status =
                machine.check("ostree admin status; cat /etc/hostname; cat /boot/loader/entries/windows.conf")?;
            let first = status.split("\n  os ").next().unwrap_or_default();
            ensure!(first.starts_with("* os ") && first.contains(wanted), "{case}\n{status}");
            ensure!(status.ends_with("mine\ntitle Windows\n") && status.contains("(rollback)"), "{case}\n{status}");
        }
    }
    ensure!(refused > 10, "only {refused} runs failed");
    Ok(())
}
