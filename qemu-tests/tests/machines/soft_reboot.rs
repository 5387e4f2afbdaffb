//! A soft reboot: userspace goes down as at shutdown and comes up in the new deployment, on the same kernel.

use anyhow::Result;
use qemu_tests::guest::Guest;
use qemu_tests::package::Provider;
use qemu_tests::staging::script;

use crate::shutdown::{DONE, succeeded};
use crate::{contains, scenario};

/// libostree has soft reboots only with composefs.
const COMPOSEFS: &str = "[composefs]\nenabled=yes\n";

/// The agent runs this script once before and once after. The kernel and its initramfs are the same in both deployments.
const SCRIPT: &str = "
    if [ $(systemctl show --property=SoftRebootsCount --value) = 0 ]; then
        mkdir -p /var/tmp/tree-0/usr/lib/ostree
        printf '[composefs]\nenabled=yes\n' >/var/tmp/tree-0/usr/lib/ostree/prepare-root.conf
        commit 0; ostree admin deploy --os=default --stage firstroot/0; prepared 'is prepared'
        ostree admin prepare-soft-reboot 0
        echo mine >/etc/mine
        systemctl soft-reboot
        sleep 600
    fi
    cat /etc/mine /etc/vendor
    ostree admin status
    journalctl --boot --unit=ostree-finalize-staged.service --unit=ostree-boot-complete.service --output=cat
    test -e /run/ostree-booted; test ! -e /run/ostree/nextroot-booted
    ostree admin deploy --os=default firstroot/guest";

/// What ours finalizes is what libostree's soft reboot has prepared, and `ostree` knows which deployment that is.
pub(crate) fn what_is_finalized_comes_up_in_a_soft_reboot(guest: Guest) -> Result<()> {
    let scenario = scenario(guest, "ext4")?.booted_by(Provider::Peer).prepare_root_conf(COMPOSEFS);
    let report = scenario.run_script(&script(SCRIPT))?;
    let output = report.script_output()?;
    succeeded(&[report])?;
    contains(&output, "mine\nvendor 0\n* default ")?;
    contains(&output, DONE)?;
    contains(&output, "ostree-finalize-staged: the soft reboot is complete")
}
