//! Extended attributes of symbolic links in `/etc`: with SELinux their label is one.

use anyhow::{Result, ensure};
use namespace_tests::finalize::Contestant;
use qemu_tests::guest::Guest;

use crate::ours::{boots_version, staged};

/// One of the machine's own, one that is shipped and changed, one in a directory of the machine's, one without.
const LINKS: &str = "cd /etc; mkdir own.d
    ln -s /nowhere own; ln -sf /elsewhere localtime; ln -s /nowhere own.d/link; ln -s /nowhere plain
    for link in own localtime own.d/link; do
        setfattr -h -n security.selinux -v system_u:object_r:etc_t:s0 $link; setfattr -h -n trusted.mine -v $link $link
    done";
const LOOK: &str =
    "cd /etc; getfattr -h -d -m - own localtime own.d/link plain; readlink own localtime own.d/link plain";

pub(crate) fn attributes_of_links_are_carried_over_as_the_peer_does(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check(LINKS)?;
    let wanted = machine.check(LOOK)?;
    ensure!(wanted.matches("trusted.mine").count() == 3 && wanted.matches("etc_t").count() == 3, "{wanted}");
    for contestant in [Contestant::Peer, Contestant::Ours] {
        let machine = machine.another()?;
        machine.finalize(contestant)?.outcome.success()?;
        boots_version(&machine, "2")?;
        let found = machine.check(LOOK)?;
        ensure!(found == wanted, "{contestant:?}: {found}\nas it was: {wanted}");
    }
    Ok(())
}
