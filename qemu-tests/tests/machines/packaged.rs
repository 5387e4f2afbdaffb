//! A tree in which a package of this project is installed beside libostree's boots ours; the update without it boots libostree's.

use anyhow::{Result, ensure};
use qemu_tests::guest::Guest;
use qemu_tests::package::Provider;
use qemu_tests::scenario::Scenario;
use qemu_tests::staging::script;

use crate::shutdown::{DONE, is_of_version, last, succeeded};
use crate::{contains, is_well};

/// Who runs at each step of a boot.
const WHO: &str = "
readlink /etc/systemd/system-generators/ostree-system-generator || echo no generator of ours
# What libostree's program says has the name of its source.
journalctl --boot --output=export --unit=ostree-prepare-root >/tmp/said
grep --quiet 'UNIT=ostree-prepare-root.service' /tmp/said
echo \"libostree's lines: $(grep --count 'CODE_FILE=.*ostree-prepare-root.c' /tmp/said || true).\"
find /usr /etc -path '*firstroot*' ! -name 'firstroot-*' ! -path '/usr/lib/firstroot-*' ! -path /usr/share/firstroot
";

/// The update is the tree after the package was removed.
const UPDATE: &str = "version=2\nostree admin deploy --os=default --stage firstroot/newer\nprepared ^Finished\n";

fn boots_and_leaves(guest: Guest, provider: Provider, name: &str) -> Result<()> {
    let machine = Scenario::new(name).on(guest).deployed_with(provider).booted_by(provider);
    let (first, second) =
        (script(&format!("{WHO}{UPDATE}")), script(&format!("{WHO}before ostree-finalize-staged.service\n")));
    let reports = machine.run_scripts(&[&first, &second])?;
    succeeded(&reports)?;
    for report in &reports {
        is_well(report)?;
    }
    let [with, _] = reports.as_slice() else { anyhow::bail!("two boots") };
    let (with, without) = (with.script_output()?, last(&reports)?.script_output()?);
    contains(&with, "libostree's lines: 0.\n")?;
    ensure!(without.contains("libostree's lines: ") && !without.contains("libostree's lines: 0."), "{without}");
    contains(&with, "/usr/lib/firstroot/ostree-system-generator\n")?;
    contains(&with, "/usr/lib/firstroot/ostree-finalize-staged\n")?;
    is_of_version(last(&reports)?, "2")?;
    // The update without the package was finalized by the package.
    contains(&without, DONE)?;
    contains(&without, "no generator of ours\n")?;
    ensure!(!without.contains("/usr/lib/firstroot"), "{without}");
    Ok(())
}

/// Debian's.
pub(crate) fn a_deb_boots_and_is_removed_by_an_update(guest: Guest) -> Result<()> {
    boots_and_leaves(guest, Provider::Deb, "a-deb")
}

/// Fedora's, in a tree of Debian.
pub(crate) fn an_rpm_boots_and_is_removed_by_an_update(guest: Guest) -> Result<()> {
    boots_and_leaves(guest, Provider::Rpm, "an-rpm")
}
