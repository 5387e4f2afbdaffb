//! Our finalizer, from the staged state to the next boot.

use anyhow::{Result, ensure};
use namespace_tests::finalize::{Contestant, Story};
use qemu_tests::guest::Guest;

pub(crate) fn the_new_system_boots_with_the_machines_etc(guest: Guest) -> Result<()> {
    let machine = Story::new_kernel().staged(guest)?.copy()?;
    machine.check("echo mine >/etc/hostname")?;
    let finalized = machine.finalize(Contestant::Ours)?;
    eprintln!("{:?}", finalized.outcome);
    finalized.outcome.success()?;
    machine.boot_default()?;
    let status = machine.check("ostree admin status; ostree admin cleanup; ostree admin status; ostree fsck")?;
    ensure!(status.starts_with("* os ") && status.contains("Version: 2\n"), "{status}");
    ensure!(status.contains("(rollback)"), "{status}");
    ensure!(machine.check("cat /etc/hostname")? == "mine\n");
    Ok(())
}
