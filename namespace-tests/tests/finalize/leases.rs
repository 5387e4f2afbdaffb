//! A lease (fcntl(2)) on a file in `/etc`, as file servers take them.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;

use crate::ours::{boots_version, staged};

/// Holds write leases on two files, and gives them back half a second after another program wants to open one.
const HOLDER: &str = r#"perl -e '
    use constant { F_SETLEASE => 1024, F_WRLCK => 1, F_UNLCK => 2 };
    my @files = map { open my $file, "+<", $_ or die; $file } "/etc/group", "/etc/mine";
    $SIG{IO} = sub { select undef, undef, undef, 0.5; fcntl $_, F_SETLEASE, F_UNLCK for @files };
    fcntl $_, F_SETLEASE, F_WRLCK or die for @files;
    open my $go, ">", "/run/go";
    sleep 1 while 1' & holder=$!
    until test -e /run/go || ! kill -0 $holder; do :; done"#;

pub(crate) fn a_lease_on_a_file_is_waited_for(guest: Guest) -> Result<()> {
    let machine = staged(guest)?;
    machine.check("echo mine:x:77: >>/etc/group; echo mine >/etc/mine")?;
    let run = "/usr/lib/firstroot/ostree-finalize-staged; status=$?; kill $holder; exit $status";
    let outcome = machine.run(&format!("{HOLDER}\n{run}"))?;
    ensure!(outcome.code == Some(0), "{outcome:?}");
    boots_version(&machine, "2")?;
    machine.check("grep -q ^mine:x:77: /etc/group; grep -qx mine /etc/mine")?;
    Ok(())
}
