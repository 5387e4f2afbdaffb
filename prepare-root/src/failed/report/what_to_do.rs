//! What to do after a failed boot.

use ostree_sysroot::boot_links::LookupError;
use rustix::io::Errno;
use system::shell::quoted;

use super::advice::{DEPLOY_AGAIN, OTHER_ENTRY, SEAL, WITHOUT_IMAGE, with_drivers};
use super::{configuration, deployment, elsewhere, init};
use crate::facts::{Caller, Lack};
use crate::failed::cause::{Cause, Failure};
use crate::failed::survey::Survey;
use crate::plan::PlanError;
use crate::plan::composefs::{AtBootMenu, ComposefsError};
use crate::read::commit_signature::VerifyError;

/// One line each.
pub(super) fn what_to_do(failure: &Failure, survey: &Survey) -> Vec<String> {
    let mut actions = about_cause(failure, survey);
    let by_hand = failure.caller != Caller::Pid1;
    if by_hand && is_about_an_image(&failure.cause) {
        let shown = failure.sysroot.display().to_string();
        let sysroot = quoted(&shown);
        actions.push(format!(
            "to see which deployments are intact:\n\t/usr/lib/ostree/ostree-prepare-root --verify {sysroot}"
        ));
    }
    actions.extend(elsewhere::actions(failure, survey));
    actions
}

/// How to remove that cause.
fn about_cause(failure: &Failure, survey: &Survey) -> Vec<String> {
    let sysroot = failure.sysroot.display().to_string();
    let mut actions = Vec::new();
    match &failure.cause {
        Cause::NotMounted(_) | Cause::NotOstree(_) => {
            actions.push(
                "compare root= with the disks:\n\tcat /proc/cmdline; blkid\n\tsystemctl status sysroot.mount"
                    .to_owned(),
            );
        }
        Cause::Configuration(errors) => actions.extend(configuration::correct(errors, failure.caller)),
        Cause::Plan { error: PlanError::Composefs(error), .. } => {
            match configuration::about_argument(error, failure.caller) {
                None => {
                    actions.push(about_image(error).to_owned());
                    actions.extend(deployment::without_image(error).map(str::to_owned));
                }
                Some(line) => actions.push(line.to_owned()),
            }
        }
        Cause::Verify { error, .. } => actions.push(about_signature(error, failure.caller).to_owned()),
        Cause::Plan { error: PlanError::HotfixWithoutUpper | PlanError::HotfixWork, deployment } => {
            actions.push(deployment::give_up_hotfix(&sysroot, deployment, survey.digits()));
        }
        Cause::Hotfix { deployment, error } => {
            if error.reason == Errno::NODEV {
                actions.push(with_drivers(failure.caller, "overlay"));
            }
            actions.push(deployment::give_up_hotfix(&sysroot, deployment, survey.digits()));
        }
        Cause::Plan { error: PlanError::Incomplete { name, .. }, .. } => {
            actions.push(deployment::incomplete(name).to_owned());
        }
        Cause::Init { error, sealed, at_boot_menu, .. } => {
            actions.extend(init::what_to_do(error, *sealed, *at_boot_menu).into_iter().map(str::to_owned));
        }
        Cause::Lookup(LookupError::NotADeployment { .. }) => {
            actions.push("boot another entry and deploy the commit:\n\tostree admin deploy REF".to_owned());
        }
        Cause::PreparedForAnother { .. } => {
            actions.push("reboot and choose the entry of the requested deployment in the boot menu".to_owned())
        }
        Cause::Image { error, .. } if error.reason == Errno::NODEV => {
            actions.push(with_drivers(failure.caller, "erofs overlay loop"));
        }
        Cause::Image { error, at_boot_menu, .. } if error.reason == Errno::OPNOTSUPP => {
            actions.push("boot an entry with a newer kernel".to_owned());
            if *at_boot_menu == AtBootMenu::SwitchOff {
                actions.push(WITHOUT_IMAGE.to_owned());
            }
        }
        Cause::System(error) if error.reason == Errno::NODEV => {
            actions.push(with_drivers(failure.caller, "overlay"));
        }
        _ => {}
    }
    actions
}

fn about_image(error: &ComposefsError) -> &'static str {
    match error {
        ComposefsError::BadArgument(_)
        | ComposefsError::Weaker { .. }
        | ComposefsError::SignedWithoutInitramfs { .. }
        | ComposefsError::TransientWithoutComposefs { .. } => OTHER_ENTRY,
        ComposefsError::NoVerity { lack: Lack::Kernel, .. } => {
            "boot an entry whose kernel has fs-verity (CONFIG_FS_VERITY)"
        }
        ComposefsError::NotSealed { .. } | ComposefsError::NoVerity { .. } => SEAL,
        ComposefsError::NoImage { .. }
        | ComposefsError::TransientWithoutImage(_)
        | ComposefsError::NotAFile { .. }
        | ComposefsError::OtherAlgorithm(_)
        | ComposefsError::NotVerified { .. }
        | ComposefsError::WrongDigest { .. } => DEPLOY_AGAIN,
    }
}

fn about_signature(error: &VerifyError, caller: Caller) -> &'static str {
    match error {
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } if caller == Caller::Pid1 => {
            "boot an older entry and deploy a tree with the file of keys; to check:\n\
             \t/usr/lib/firstroot/ostree-prepare-root --check-config TREE"
        }
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } => {
            "boot an older entry and rebuild this initramfs with the file of keys; to check:\n\
             \t/usr/lib/firstroot/ostree-prepare-root --check-config /"
        }
        VerifyError::NoMetadata { .. } | VerifyError::NoMetadataOfParent { .. } | VerifyError::Signature { .. } => {
            "boot an older entry; this commit needs a signature by a trusted key (`ostree sign`): ask the vendor of the image"
        }
        VerifyError::NoDigest { .. } | VerifyError::DigestLength { .. } => {
            "boot an older entry; ask the vendor of the image for a signed commit that is made with:\n\
             \tostree commit --generate-composefs-metadata"
        }
        _ => DEPLOY_AGAIN,
    }
}

/// Whether `--verify` could find another deployment that boots.
fn is_about_an_image(cause: &Cause) -> bool {
    match cause {
        Cause::Verify { .. } => true,
        // These come from the kernel, not from the deployment.
        Cause::Image { error, .. } => !matches!(error.reason, Errno::NODEV | Errno::OPNOTSUPP),
        Cause::Init { error, sealed, .. } => init::is_about_seals(error, *sealed),
        Cause::System(error) => error.reason == Errno::IO,
        Cause::Plan { error: PlanError::Composefs(error), .. } => about_image(error) == DEPLOY_AGAIN,
        _ => false,
    }
}
