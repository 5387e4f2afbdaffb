//! Advice that is given for more than one cause.

use crate::facts::Caller;

pub(super) const OTHER_ENTRY: &str = "boot another entry";
pub(super) const DEPLOY_AGAIN: &str =
    "boot another entry and check the disk: `ostree fsck`; then deploy this commit again if you trust it";
pub(super) const REMOVE_ARGUMENT: &str = "in the boot menu remove ostree.prepare-root.composefs=";
pub(super) const WITHOUT_IMAGE: &str =
    "to boot this entry without verification, add in the boot menu: ostree.prepare-root.composefs=no";

/// How to get objects and images sealed.
pub(super) const SEAL: &str = "boot an older entry whose kernel has fs-verity (CONFIG_FS_VERITY); on ext4 enable the feature: \
     `tune2fs -O verity DEVICE`; set ex-integrity.fsverity=yes in /ostree/repo/config, run `ostree admin post-copy`, and deploy again";

/// How to get the drivers of filesystems.
pub(super) fn with_drivers(caller: Caller, drivers: &str) -> String {
    match caller {
        Caller::Pid1 => format!("boot an entry whose kernel has these drivers built in: {drivers}"),
        Caller::Systemd | Caller::Script => {
            format!("rebuild the initramfs with these modules (dracut: add_drivers+=\" {drivers} \")")
        }
    }
}
