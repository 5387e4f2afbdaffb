//! The likely cause of a failed boot.

use rustix::io::Errno;

use super::init;
use crate::facts::{Caller, Lack};
use crate::failed::cause::{Cause, Failure};
use crate::failed::survey::Survey;
use crate::plan::PlanError;
use crate::plan::composefs::ComposefsError;
use crate::read::boot_link::LookupError;
use crate::read::commit_signature::VerifyError;

/// What it probably is.
pub(super) fn likely_cause(failure: &Failure, survey: &Survey) -> String {
    let not_ostree = survey.is_empty();
    let cause = match &failure.cause {
        Cause::Target(_) => "the boot loader entry was not written by ostree, or its options were changed",
        Cause::Configuration(_) => {
            "prepare-root.conf was changed after it was last checked (/usr/lib/ostree/ostree-prepare-root --check-config)"
        }
        Cause::NotMounted(_) => {
            "the disk, not ostree: root= is missing or wrong, the disk is gone, or its driver is not in the initramfs"
        }
        Cause::NotOstree(_) => "the disk, not ostree: root= (or rootflags=) names another filesystem than the system's",
        Cause::SysrootIsRoot(_) => {
            "the program was called with a wrong SYSROOT, or a link is in place of that directory"
        }
        Cause::Lookup(LookupError::NotADeployment { .. }) => {
            "libostree did not make this deployment, or it was renamed: libostree names one CHECKSUM.SERIAL, by its commit"
        }
        Cause::Lookup(_) if not_ostree => {
            "the disk, not ostree: root= (or rootflags=) names another filesystem than the system's"
        }
        Cause::Lookup(LookupError::Missing(_)) if survey.boot_links.is_empty() && survey.unread.is_empty() => {
            "the boot links were removed, or never reached the disk when power was lost"
        }
        Cause::Lookup(LookupError::Missing(_)) => {
            "boot loader entries and boot links are out of step: an update was cut short, or one of them was restored alone"
        }
        Cause::Lookup(LookupError::Other { reason, .. }) => because_of(*reason),
        Cause::Lookup(LookupError::Dangling { .. }) => "the deployment was removed, or the disk is damaged",
        Cause::Lookup(_) => "the link was not made by ostree, or the disk is damaged",
        Cause::PreparedForAnother { .. } => "an earlier run, for another boot link, succeeded",
        Cause::Ambiguous { .. } | Cause::Unknown { .. } => {
            "boot loader entries and boot links are out of step, and which deployment was meant cannot be told"
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
        Cause::Image { .. } => "the image is damaged, or the kernel cannot mount it; see what it said (dmesg)",
        Cause::Init { error, sealed, .. } => init::likely_cause(error, *sealed),
        Cause::Exec { .. } => "the deployment's /sbin/init is damaged, or for another machine",
    };
    cause.to_owned()
}

fn of_plan(error: &PlanError) -> &'static str {
    match error {
        PlanError::Composefs(ComposefsError::NoImage { .. } | ComposefsError::TransientWithoutImage(_)) => {
            "the deployment was made by an ostree without composefs, or before composefs was configured"
        }
        PlanError::Composefs(ComposefsError::WrongDigest { .. }) => {
            "the image was changed or exchanged, or belongs to another deployment"
        }
        PlanError::Composefs(ComposefsError::NotSealed { .. }) => {
            "the deployment was made before fs-verity was configured (ex-integrity.fsverity in ostree/repo/config)"
        }
        PlanError::Composefs(ComposefsError::NoVerity { lack: Lack::Kernel, .. }) => {
            "a kernel of another build than the system was made for"
        }
        PlanError::Composefs(ComposefsError::NoVerity { .. }) => {
            "the filesystem was made without that feature, before a signature was demanded"
        }
        PlanError::Composefs(ComposefsError::NotAFile { .. } | ComposefsError::OtherAlgorithm(_)) => {
            "the image was not made by ostree"
        }
        PlanError::Composefs(ComposefsError::TransientWithoutComposefs { by_argument: false, .. }) => {
            "prepare-root.conf demands a transient root, and does not switch composefs on"
        }
        PlanError::Composefs(ComposefsError::SignedWithoutInitramfs { by_argument: false, .. }) => {
            "prepare-root.conf demands what cannot be had without an initramfs"
        }
        PlanError::Composefs(_) => "configuration and kernel command line contradict each other",
        PlanError::HotfixWithoutUpper | PlanError::HotfixWork => {
            "`ostree admin unlock --hotfix` was cut short, or its directories were touched"
        }
        _ => "the deployment was damaged, or its tree is not one of an OSTree system",
    }
}

fn of_signature(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } => {
            "the file of keys is not there, or it is damaged"
        }
        VerifyError::NoMetadata { .. } | VerifyError::NoMetadataOfParent { .. } | VerifyError::Signature { .. } => {
            "the commit was not signed by a key that is trusted here, or the disk was changed"
        }
        VerifyError::NoDigest { .. } | VerifyError::DigestLength { .. } => {
            "the commit was made without `ostree commit --generate-composefs-metadata`"
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

/// Of a call that failed for no reason of its own.
fn because_of(reason: Errno) -> &'static str {
    match reason {
        Errno::IO => "the disk fails, or what is on it was cut off or changed, an image for one",
        Errno::NOMEM | Errno::MFILE | Errno::NFILE => "the kernel has too little memory, or too many files are open",
        _ => "the kernel refused; see what it said (dmesg)",
    }
}
