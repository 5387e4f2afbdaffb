//! Advice that is given for more than one cause.
//!
//! A piece of advice is a text whose lines are sentences, or, after a tab, what has to be typed: at most 60 characters, so that it
//! can be typed from a photo, without a whole checksum.

use crate::facts::Caller;

pub(super) const OTHER_ENTRY: &str = "boot another entry";
pub(super) const DEPLOY_AGAIN: &str =
    "boot another entry and check the disk:\n\tostree fsck\nthen deploy this commit again if you trust it";
pub(super) const REMOVE_ARGUMENT: &str = "in the boot menu remove ostree.prepare-root.composefs=";
pub(super) const WITHOUT_IMAGE: &str =
    "to boot this entry without verification, add in the boot menu:\n\tostree.prepare-root.composefs=no";

/// How to get objects and images sealed.
pub(super) const SEAL: &str = "boot an older entry whose kernel has fs-verity (CONFIG_FS_VERITY); on ext4 enable the feature:\n\
    \ttune2fs -O verity DEVICE\n\
    set ex-integrity.fsverity=yes in /ostree/repo/config, and deploy again after:\n\
    \tostree admin post-copy";

/// How to get the drivers of filesystems.
pub(super) fn with_drivers(caller: Caller, drivers: &str) -> String {
    match caller {
        Caller::Pid1 => format!("boot an entry whose kernel has these drivers built in: {drivers}"),
        Caller::Systemd | Caller::Script => {
            format!("rebuild the initramfs with these modules; in dracut.conf:\n\tadd_drivers+=\" {drivers} \"")
        }
    }
}
