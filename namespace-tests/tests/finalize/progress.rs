//! What the service manager is told while a finalization takes long.

use std::fs;

use anyhow::{Context, Result, ensure};
use namespace_tests::Outcome;
use namespace_tests::finalize::Machine;
use qemu_tests::guest::Guest;

use super::ours::{boots_version, staged};

/// `systemctl status` cuts the lines of the journal: the status of the unit says that there are some to read.
pub(crate) fn warnings_of_a_preparation_are_in_the_status_of_its_unit(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let prepare = |machine: &Machine| {
        machine.run(
            "NOTIFY_SOCKET=/run/systemd/journal/socket /run/fixture/tools/strace -f -qq -s 200 -o /run/trace -e trace=sendto \
                 /usr/lib/firstroot/ostree-finalize-staged --prepare; status=$?; cat /run/trace; exit $status",
        )
    };
    // The machine has libostree's units without drop-ins, which is told, too.
    let warned = |outcome: &Outcome| -> Result<usize> {
        ensure!(outcome.code == Some(0), "{outcome:?}");
        let (_, status) = outcome.stdout.split_once("\"STATUS=Prepared, with ").context("no status")?;
        ensure!(status.contains("; to read them: journalctl -b -t ostree\""), "{status}");
        Ok(status.split(' ').next().unwrap_or_default().parse()?)
    };
    let before = warned(&prepare(&machine)?)?;
    machine.with_disk(|root| {
        let entry = root.join("boot/loader/entries/ostree-1.conf");
        let text = fs::read_to_string(&entry)? + "initrd /theme.img\n";
        Ok(fs::write(entry, text)?)
    })?;
    let after = warned(&prepare(&machine)?)?;
    ensure!(after == before + 1, "{before} warnings, then {after}");
    Ok(())
}

/// A program that hangs is not given more time because another program keeps another disk busy.
pub(crate) fn another_disk_at_work_is_no_progress(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    // It hangs for seven seconds in its first syncfs, and tells every two seconds, if there is something to tell.
    let outcome = machine.run(
        "set -e; truncate -s 10M /run/other.img; other=$(losetup --find --show /run/other.img); touch /run/busy
         (while test -e /run/busy; do dd if=/dev/zero of=$other bs=4k count=50 oflag=direct 2>/dev/null; done) & busy=$!
         set +e
         NOTIFY_SOCKET=/run/systemd/journal/socket /run/fixture/tools/strace -f -qq -o /run/trace -e trace=syncfs,sendto \
             -e inject=syncfs:delay_enter=7000000:when=1 /usr/lib/firstroot/ostree-finalize-staged
         status=$?; rm /run/busy; wait $busy; losetup --detach $other; cat /run/trace; exit $status",
    )?;
    ensure!(outcome.code == Some(0), "{:?}", outcome);
    let sent = |text: &str| outcome.stdout.lines().filter(|line| line.contains(text)).count();
    ensure!(sent("\"STATUS=") > 3, "the manager was told nothing: {:?}", outcome);
    // While it hung: once for what was done before. Afterwards there is progress again.
    let lines = outcome.stdout.lines().skip_while(|line| !line.contains("syncfs(") || !line.contains("<unfinished"));
    let hung: Vec<&str> = lines.take_while(|line| !line.contains("syncfs resumed")).collect();
    let extended = hung.iter().filter(|line| line.contains("\"EXTEND_TIMEOUT_USEC=")).count();
    ensure!(!hung.is_empty() && extended <= 1, "{extended} times: {outcome:?}");
    boots_version(&machine, "2")
}
