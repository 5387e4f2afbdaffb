//! What the next boot is told of the shutdown before it.

use anyhow::{Result, ensure};
use namespace_tests::finalize::Contestant;
use qemu_tests::guest::Guest;

use super::ours::{boots_version, separate_boot, staged};

/// Killed in the middle: the next boot says so, once, by ours and by the peer's.
pub(crate) fn an_interruption_is_reported_at_the_next_boot(guest: Guest) -> Result<()> {
    for by_the_peer in [false, true] {
        let machine = separate_boot().staged(guest)?.copy()?;
        let killed =
            machine.strace(Contestant::Ours, &["-e", "inject=linkat,fdatasync:signal=KILL", "-o", "/dev/null"])?;
        ensure!(killed.outcome.signal == Some(9), "{:?}", killed.outcome);
        boots_version(&machine, "1")?;
        let program = if by_the_peer {
            "INVOCATION_ID=1 ostree admin boot-complete"
        } else {
            "/usr/lib/firstroot/ostree-finalize-staged --boot-complete"
        };
        let outcome = machine.run(program)?;
        let text = "error: ostree-finalize-staged.service failed on previous boot: interrupted while installing the kernel, finalizing ostree/";
        ensure!(outcome.code == Some(1) && outcome.stderr.contains(text), "{outcome:?}");
        let outcome = machine.run(program)?;
        ensure!(outcome.code == Some(0) && outcome.stderr.is_empty(), "once: {outcome:?}");
    }
    Ok(())
}

/// A stamp that is left of a run whose update counts after all is no failure.
pub(crate) fn a_stamp_of_what_is_booted_is_no_failure(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let traced = machine.strace(Contestant::Ours, &["-e", "trace=none"])?;
    traced.outcome.success()?;
    machine.boot_default()?;
    machine.check("echo \"interrupted while merging /etc, finalizing $(cd /sysroot; ls -d ostree/deploy/os/deploy/*.0 | while read d; do \
        test $(stat -c %i $d) = $(stat -c %i /) && echo $d; done)\" >/boot/ostree/finalize-failure.stamp")?;
    // libostree's unit has MountFlags=slave: nobody but the program is in its mount namespace, and it leaves it.
    let unit = "unshare --mount --propagation slave /usr/lib/firstroot/ostree-finalize-staged";
    let outcome = machine.run(&format!("{unit} --boot-complete"))?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    machine.check("! test -e /boot/ostree/finalize-failure.stamp")?;
    // One of another deployment is told.
    let other = "a".repeat(64);
    let outcome = machine.run(&format!(
        "echo interrupted while merging /etc, finalizing ostree/deploy/os/deploy/{other}.0 >/boot/ostree/finalize-failure.stamp
         {unit} --boot-complete"
    ))?;
    ensure!(outcome.code == Some(1) && outcome.stderr.contains("failed on previous boot: interrupted"), "{outcome:?}");
    Ok(())
}

/// The peer's does not finish a soft reboot while a stamp lies there.
pub(crate) fn a_soft_reboot_is_finished_beside_a_stamp(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    let outcome = machine.run(
        "cp /run/ostree-booted /run/ostree/nextroot-booted; echo text >/boot/ostree/finalize-failure.stamp; \
         rm /run/ostree-booted; cp /run/ostree/nextroot-booted /run/ostree-booted; \
         /usr/lib/firstroot/ostree-finalize-staged --boot-complete; echo $?; test ! -e /run/ostree/nextroot-booted && echo finished",
    )?;
    ensure!(
        outcome.stdout == "1\nfinished\n" && outcome.stderr.contains("failed on previous boot: text"),
        "{outcome:?}"
    );
    Ok(())
}

/// At a soft reboot SIGKILL follows SIGTERM at once: a unit counts as failed whose process has not ended by the first.
pub(crate) fn who_holds_boot_ends_by_the_first_signal(guest: Guest) -> Result<()> {
    let outcome = staged(guest)?.run(
        "set +e; for program in /usr/lib/firstroot/ostree-finalize-staged 'ostree admin finalize-staged'; do
            $program --hold & until readlink /proc/$!/fd/* | grep --quiet '^/boot$'; do kill -0 $! || break; done
            kill -TERM $!; kill -KILL $!; wait $!; echo $?
         done",
    )?;
    ensure!(outcome.stdout == "143\n143\n", "{outcome:?}");
    Ok(())
}
