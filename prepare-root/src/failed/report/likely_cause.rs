//! The likely cause of a failed boot.

use ostree_sysroot::boot_links::LookupError;
use rustix::io::Errno;

use super::init;
use crate::facts::{Caller, Lack};
use crate::failed::cause::{Cause, Failure};
use crate::failed::survey::Survey;
use crate::plan::PlanError;
use crate::plan::choice::ChoiceError;
use crate::plan::composefs::ComposefsError;
use crate::read::commit_signature::VerifyError;

/// The likely cause, in one line.
pub(super) fn likely_cause(failure: &Failure, survey: &Survey) -> String {
    let not_ostree = survey.is_empty();
    let cause = match &failure.cause {
        Cause::Choice { error: ChoiceError::Unread { reason, .. }, .. } => because_of(*reason),
        Cause::Choice { .. } => "it was mistyped, or the list of deployments has changed",
        Cause::Target(_) => "the boot loader entry was not written by ostree, or its options were changed",
        Cause::Configuration(_) => "prepare-root.conf was changed after it was last checked (--check-config)",
        Cause::NotMounted(_) => {
            "the disk, not ostree: root= is missing or wrong, the disk is gone, or its driver is not in the initramfs"
        }
        Cause::NotOstree(_) => "the disk, not ostree: root= (or rootflags=) names the wrong filesystem",
        Cause::SysrootIsRoot(_) => "SYSROOT is wrong, or a link has replaced that directory",
        Cause::Lookup(LookupError::NotADeployment { .. }) => {
            "libostree did not make this deployment, or it was renamed: libostree's names are COMMIT.SERIAL"
        }
        Cause::Lookup(_) if not_ostree => "the disk, not ostree: root= (or rootflags=) names the wrong filesystem",
        Cause::Lookup(LookupError::Missing(_)) if survey.boot_links.is_empty() && survey.unread.is_empty() => {
            "the boot links were removed, or were lost in a power cut"
        }
        Cause::Lookup(LookupError::Missing(_)) => {
            "boot loader entries and boot links do not match: an update was interrupted, or only one of them was restored from a backup"
        }
        Cause::Lookup(LookupError::Other { reason, .. }) => because_of(*reason),
        Cause::Lookup(LookupError::Dangling { .. }) => "the deployment was removed, or the disk is damaged",
        Cause::Lookup(_) => "ostree did not make this link, or the disk is damaged",
        Cause::PreparedForAnother { .. } => "an earlier run prepared another deployment",
        Cause::Ambiguous { .. } | Cause::Unknown { .. } => {
            "boot loader entries and boot links do not match, and it is not certain which deployment was meant"
        }
        Cause::Plan { error, .. } => of_plan(error),
        Cause::Hotfix { error, .. } if error.reason == Errno::NODEV => no_filesystem(failure.caller),
        Cause::Hotfix { error, .. } => because_of(error.reason),
        Cause::System(error) if error.object.starts_with("/run") => "/run is not a writable tmpfs, or it is full",
        Cause::System(error) if error.reason == Errno::NODEV && error.operation == "mount" => {
            no_filesystem(failure.caller)
        }
        Cause::System(error) => because_of(error.reason),
        Cause::Verify { error, .. } => of_signature(error),
        Cause::Image { error, .. } if error.reason == Errno::NODEV => no_filesystem(failure.caller),
        Cause::Image { error, .. } if error.reason == Errno::OPNOTSUPP => "the kernel is too old for composefs images",
        Cause::Image { .. } => "the image is damaged, or the kernel cannot mount it; the reason is in `dmesg`",
        Cause::Init { error, sealed, .. } => init::likely_cause(error, *sealed),
        Cause::Exec { .. } => "the deployment's /sbin/init is damaged, or made for another architecture",
    };
    cause.to_owned()
}

fn of_plan(error: &PlanError) -> &'static str {
    match error {
        PlanError::Composefs(ComposefsError::NoImage { .. } | ComposefsError::TransientWithoutImage(_)) => {
            "ostree made the deployment without composefs, or before composefs was configured"
        }
        PlanError::Composefs(ComposefsError::WrongDigest { .. }) => {
            "the image was changed or replaced, or belongs to another deployment"
        }
        PlanError::Composefs(ComposefsError::NotSealed { .. }) => {
            "the deployment was made before fs-verity was configured"
        }
        PlanError::Composefs(ComposefsError::NoVerity { lack: Lack::Kernel, .. }) => {
            "this kernel was built without fs-verity"
        }
        PlanError::Composefs(ComposefsError::NoVerity { .. }) => "the filesystem was made without fs-verity",
        PlanError::Composefs(ComposefsError::NotAFile { .. } | ComposefsError::OtherAlgorithm(_)) => {
            "the image was not made by ostree"
        }
        PlanError::Composefs(ComposefsError::TransientWithoutComposefs { by_argument: false, .. }) => {
            "prepare-root.conf has a transient root without composefs"
        }
        PlanError::Composefs(ComposefsError::SignedWithoutInitramfs { by_argument: false, .. }) => {
            "prepare-root.conf demands a signature, which needs an initramfs"
        }
        PlanError::Composefs(_) => "configuration and kernel command line contradict each other",
        PlanError::HotfixWithoutUpper | PlanError::HotfixWork => {
            "`ostree admin unlock --hotfix` was interrupted, or its directories were changed"
        }
        _ => "the deployment is damaged, or its tree was not made for OSTree",
    }
}

fn of_signature(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } => "the file of keys is missing or damaged",
        VerifyError::NoMetadata { .. } | VerifyError::NoMetadataOfParent { .. } | VerifyError::Signature { .. } => {
            "no trusted key has signed this commit, or the disk was changed"
        }
        VerifyError::NoDigest { .. } | VerifyError::DigestLength { .. } => {
            "the commit was made without metadata for composefs"
        }
        _ => "the repository is damaged, or was changed",
    }
}

fn no_filesystem(caller: Caller) -> &'static str {
    match caller {
        Caller::Pid1 => "the kernel was built without that filesystem",
        Caller::Systemd | Caller::Script => "the kernel lacks that filesystem, or its module is not in the initramfs",
    }
}

/// The cause of a failed system call, by its errno alone.
fn because_of(reason: Errno) -> &'static str {
    match reason {
        Errno::IO => "the disk fails, or its content is damaged",
        Errno::NOMEM | Errno::MFILE | Errno::NFILE => "the kernel has too little memory, or too many files are open",
        _ => "the kernel refused this; its reason is in `dmesg`",
    }
}
