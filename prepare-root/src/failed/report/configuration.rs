//! Advice for a configuration that stopped the boot. It is in the initramfs, so another boot link does not help.

use ostree_formats::prepare_root_conf::ConfError;

use system::printable::printable;

use super::advice::REMOVE_ARGUMENT;
use crate::facts::Caller;
use crate::failed::cause::Cause;
use crate::plan::PlanError;
use crate::plan::composefs::ComposefsError;

const OLDER_ENTRY: &str =
    "until then choose an older entry in the boot menu: its initramfs has the older configuration";

const CHECK: &str = "and rebuild the initramfs; to check:\n\t/usr/lib/firstroot/ostree-prepare-root --check-config /";

/// Whether the same error would stop any other boot link.
pub(super) fn stops_every_link(cause: &Cause, caller: Caller) -> bool {
    let of_configuration = match cause {
        Cause::Configuration(_) => true,
        Cause::Plan { error: PlanError::Composefs(error), .. } => about_argument(error, caller).is_some(),
        _ => false,
    };
    // As PID 1 each deployment has its own configuration.
    of_configuration && caller != Caller::Pid1
}

/// What to do about errors of files.
pub(super) fn correct(errors: &[ConfError], caller: Caller) -> Vec<String> {
    let mut files: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    files.dedup();
    let files = files.iter().map(|file| printable(file)).collect::<Vec<_>>().join(" and ");
    match caller {
        Caller::Pid1 => vec![format!("boot another entry and correct {files} in this deployment's tree")],
        Caller::Systemd | Caller::Script => {
            vec![format!("correct {files} in the tree {CHECK}"), OLDER_ENTRY.to_owned()]
        }
    }
}

/// What to do about an argument, or about a configuration that cannot be satisfied; `None` for errors of images.
pub(super) fn about_argument(error: &ComposefsError, caller: Caller) -> Option<&'static str> {
    Some(match error {
        ComposefsError::BadArgument(_) => "in the boot menu correct or remove ostree.prepare-root.composefs=",
        ComposefsError::Weaker { .. }
        | ComposefsError::TransientWithoutComposefs { by_argument: true, .. }
        | ComposefsError::SignedWithoutInitramfs { by_argument: true, .. } => REMOVE_ARGUMENT,
        ComposefsError::SignedWithoutInitramfs { .. } => {
            "boot another entry; in this deployment's tree change [composefs] enabled, or set unverified-init = yes to accept this"
        }
        ComposefsError::TransientWithoutComposefs { .. } if caller == Caller::Pid1 => {
            "boot another entry and correct prepare-root.conf in this deployment's tree"
        }
        ComposefsError::TransientWithoutComposefs { .. } => {
            "correct prepare-root.conf in the tree and rebuild the initramfs; until then an older entry boots"
        }
        _ => return None,
    })
}
