//! The report of a configuration that stopped the boot. It is in the initramfs, so another boot link of the same entry cannot
//! help.

use ostree_formats::prepare_root_conf::ConfError;

use super::advice::REMOVE_ARGUMENT;
use crate::facts::Caller;
use crate::failed::cause::Cause;
use crate::plan::PlanError;
use crate::plan::composefs::ComposefsError;

const OLDER_ENTRY: &str = "until then choose an older entry at the boot menu: it has an initramfs of its own, with the configuration of its time";

const CHECK: &str = "and rebuild the initramfs (`/usr/lib/ostree/ostree-prepare-root --check-config /` checks it)";

/// Whether any other boot link would be stopped as well.
pub(super) fn stops_every_link(cause: &Cause, caller: Caller) -> bool {
    let of_configuration = match cause {
        Cause::Configuration(_) => true,
        Cause::Plan { error: PlanError::Composefs(error), .. } => about_argument(error, caller).is_some(),
        _ => false,
    };
    // As PID 1 each deployment has its own.
    of_configuration && caller != Caller::Pid1
}

/// What to do about errors of files.
pub(super) fn correct(errors: &[ConfError], caller: Caller) -> Vec<String> {
    let mut files: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    files.dedup();
    let files = files.join(" and ");
    match caller {
        Caller::Pid1 => vec![format!("boot another entry, and correct {files} in this deployment's tree")],
        Caller::Systemd | Caller::Script => {
            vec![format!("correct {files} in the tree, {CHECK}"), OLDER_ENTRY.to_owned()]
        }
    }
}

/// What to do about an argument, or about what a configuration demands without having it; nothing for errors of images.
pub(super) fn about_argument(error: &ComposefsError, caller: Caller) -> Option<&'static str> {
    Some(match error {
        ComposefsError::BadArgument(_) => "at the boot menu correct ostree.prepare-root.composefs=, or remove it",
        ComposefsError::Weaker { .. }
        | ComposefsError::TransientWithoutComposefs { by_argument: true, .. }
        | ComposefsError::SignedWithoutInitramfs { by_argument: true, .. } => REMOVE_ARGUMENT,
        ComposefsError::SignedWithoutInitramfs { .. } => {
            "boot another entry; in this deployment's tree either choose another [composefs] enabled, or accept this with \
             unverified-init = yes"
        }
        ComposefsError::TransientWithoutComposefs { .. } if caller == Caller::Pid1 => {
            "boot another entry, and correct prepare-root.conf in this deployment's tree"
        }
        ComposefsError::TransientWithoutComposefs { .. } => {
            "correct prepare-root.conf in the tree, and rebuild the initramfs; an entry with an older initramfs boots as before"
        }
        _ => return None,
    })
}
