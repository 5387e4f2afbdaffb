//! What is advised for more than one cause.

use crate::facts::Caller;

pub(super) const OTHER_ENTRY: &str = "boot another entry";
pub(super) const DEPLOY_AGAIN: &str =
    "boot another entry, look at the disk with `ostree fsck`, and deploy this commit again if it is one that you trust";
pub(super) const REMOVE_ARGUMENT: &str = "at the boot menu remove ostree.prepare-root.composefs=";
pub(super) const WITHOUT_IMAGE: &str =
    "to boot this entry with nothing verified: ostree.prepare-root.composefs=no at the boot menu";

/// How to get the drivers of filesystems.
pub(super) fn with_drivers(caller: Caller, drivers: &str) -> String {
    match caller {
        Caller::Pid1 => format!("boot an entry whose kernel has these drivers built in: {drivers}"),
        Caller::Systemd | Caller::Script => {
            format!("rebuild the initramfs with these modules (dracut: add_drivers+=\" {drivers} \")")
        }
    }
}
