//! The report of a failed boot: everything an administrator at a serial console needs, in one block.

mod configuration;
mod deployment;
mod elsewhere;
mod init;

use std::fmt::Write;

use rustix::io::Errno;
use system::printable::printable;
use system::shell::quoted;

use crate::composefs::{AtBootMenu, ComposefsError};
use crate::facts::{Lack, Situation};
use crate::failure::{Cause, Failure};
use crate::lookup::LookupError;
use crate::plan::PlanError;
use crate::signature::VerifyError;
use crate::survey::Survey;

/// Writes it.
pub(crate) fn report(failure: &Failure, survey: &Survey) -> String {
    let mut text = format!("cannot boot: {}\n", printable(&failure.cause.to_string()));
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {label:<14}{}", printable(value));
    };
    match &failure.asked_for {
        Some(target) => {
            line("asked for:", &format!("{} (kernel argument {})", target.path, target.argument));
            line(
                "looked up:",
                &format!("{} on the physical root, mounted at {}", target.path, failure.sysroot.display()),
            );
        }
        None => line("asked for:", "no deployment: see the first line"),
    }
    match &survey.mounted {
        Some(m) => {
            line("mounted:", &format!("{} on {}, {}, {}", m.source, failure.sysroot.display(), m.fstype, m.options))
        }
        None => line("mounted:", &format!("nothing at {}", failure.sysroot.display())),
    }
    for (n, path) in survey.other_names.iter().enumerate() {
        line(if n == 0 { "other names:" } else { "" }, &format!("{path} is no deployment of libostree's"));
    }
    for (path, reason) in &survey.unread {
        line("unreadable:", &format!("{path}: {reason}"));
    }
    if survey.is_empty() {
        line(
            "on the disk:",
            &format!("no boot links, no deployments; in its root directory: {}", survey.top_level.join(" ")),
        );
    } else if !survey.boot_links.is_empty() || !survey.deployments.is_empty() {
        for (n, (link, target)) in survey.boot_links.iter().enumerate() {
            line(if n == 0 { "boot links:" } else { "" }, &format!("{link} -> {target}"));
        }
        if survey.boot_links.is_empty() && survey.unread.is_empty() {
            line("boot links:", "none");
        }
        for (n, (deployment, followed)) in survey.deployments.iter().enumerate() {
            let followed = followed.as_ref().map(|origin| format!(" (origin {origin})")).unwrap_or_default();
            line(if n == 0 { "deployments:" } else { "" }, &format!("/{deployment}{followed}"));
        }
        if survey.deployments.is_empty() && survey.unread.is_empty() {
            line("deployments:", "none");
        }
    }
    line("likely cause:", &likely_cause(failure, survey));
    for (n, action) in what_to_do(failure, survey).iter().enumerate() {
        line(if n == 0 { "what to do:" } else { "" }, action);
    }
    text
}

fn likely_cause(failure: &Failure, survey: &Survey) -> String {
    let not_ostree = survey.is_empty();
    match &failure.cause {
        Cause::Target(_) => "the boot loader entry was not written by ostree, or its options were changed",
        Cause::Configuration(_) => "prepare-root.conf was changed after it was last checked (/usr/lib/ostree/ostree-prepare-root --check-config)",
        Cause::NotMounted(_) => {
            "the disk, not ostree: root= is missing or wrong, the disk is gone, or its driver is not in the initramfs"
        }
        Cause::NotOstree(_) => "the disk, not ostree: root= (or rootflags=) names another filesystem than the system's",
        Cause::SysrootIsRoot(_) => "the program was called with a wrong SYSROOT, or a link is in place of that directory",
        Cause::Lookup(LookupError::NotADeployment { .. }) => {
            "libostree did not make this deployment, or it was renamed: libostree names one CHECKSUM.SERIAL, by its commit"
        }
        Cause::Lookup(_) if not_ostree => "the disk, not ostree: root= (or rootflags=) names another filesystem than the system's",
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
        Cause::Plan { error, .. } => match error {
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
        },
        Cause::Hotfix { error, .. } if error.reason == Errno::NODEV => no_filesystem(failure.situation),
        Cause::Hotfix { error, .. } => because_of(error.reason),
        Cause::System(error) if error.object.starts_with("/run") => "/run is not a writable tmpfs, or it is full",
        Cause::System(error) if error.reason == rustix::io::Errno::NODEV && error.operation == "mount" => {
            no_filesystem(failure.situation)
        }
        Cause::System(error) => because_of(error.reason),
        Cause::Verify { error, .. } => match **error {
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
        },
        Cause::Image { error, .. } if error.reason == rustix::io::Errno::NODEV => no_filesystem(failure.situation),
        Cause::Image { error, .. } if error.reason == rustix::io::Errno::OPNOTSUPP => {
            "the kernel is too old for composefs images"
        }
        Cause::Image { .. } => "the image is damaged, or the kernel cannot mount it; see what it said (dmesg)",
        Cause::Init { error, sealed, .. } => init::likely_cause(error, *sealed),
        Cause::Exec { .. } => "the deployment's /sbin/init is damaged, or for another machine",
    }
    .to_owned()
}

fn no_filesystem(situation: Situation) -> &'static str {
    match situation {
        Situation::Pid1 => "the kernel was built without that filesystem",
        Situation::Systemd | Situation::Script => {
            "the kernel lacks that filesystem, or its module is not in the initramfs"
        }
    }
}

/// How to get the drivers of filesystems.
fn with_drivers(situation: Situation, drivers: &str) -> String {
    match situation {
        Situation::Pid1 => format!("boot an entry whose kernel has these drivers built in: {drivers}"),
        Situation::Systemd | Situation::Script => {
            format!("rebuild the initramfs with these modules (dracut: add_drivers+=\" {drivers} \")")
        }
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

const OTHER_ENTRY: &str = "boot another entry";
const DEPLOY_AGAIN: &str =
    "boot another entry, look at the disk with `ostree fsck`, and deploy this commit again if it is one that you trust";

fn about_image(error: &ComposefsError) -> &'static str {
    match error {
        ComposefsError::BadArgument(_)
        | ComposefsError::Weaker { .. }
        | ComposefsError::SignedWithoutInitramfs { .. }
        | ComposefsError::TransientWithoutComposefs { .. } => OTHER_ENTRY,
        ComposefsError::NoVerity { lack: Lack::Kernel, .. } => "boot an entry whose kernel has it (CONFIG_FS_VERITY)",
        ComposefsError::NotSealed { .. } | ComposefsError::NoVerity { .. } => {
            "boot an older entry, set ex-integrity.fsverity=yes in ostree/repo/config, on ext4 with the feature `verity`, run \
             `ostree admin post-copy`, and deploy again"
        }
        ComposefsError::NoImage { .. }
        | ComposefsError::TransientWithoutImage(_)
        | ComposefsError::NotAFile { .. }
        | ComposefsError::OtherAlgorithm(_)
        | ComposefsError::NotVerified { .. }
        | ComposefsError::WrongDigest { .. } => DEPLOY_AGAIN,
    }
}

fn about_signature(error: &VerifyError, situation: Situation) -> &'static str {
    match error {
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } if situation == Situation::Pid1 => {
            "boot an older entry and deploy a tree with the file of keys (/usr/lib/ostree/ostree-prepare-root --check-config)"
        }
        VerifyError::KeysUnreadable { .. } | VerifyError::Keys { .. } => {
            "boot an older entry and rebuild this initramfs with the file of keys (/usr/lib/ostree/ostree-prepare-root --check-config)"
        }
        VerifyError::NoMetadata { .. }
        | VerifyError::NoMetadataOfParent { .. }
        | VerifyError::Signature { .. }
        | VerifyError::NoDigest { .. }
        | VerifyError::DigestLength { .. } => {
            "boot an older entry; whoever makes the commits has to sign this one, with a key that is trusted here"
        }
        _ => DEPLOY_AGAIN,
    }
}

/// Whether `--verify` could tell of another deployment that it boots.
fn is_about_an_image(cause: &Cause) -> bool {
    match cause {
        Cause::Verify { .. } => true,
        // What a kernel lacks, no deployment is to blame for.
        Cause::Image { error, .. } => !matches!(error.reason, rustix::io::Errno::NODEV | rustix::io::Errno::OPNOTSUPP),
        Cause::Init { error, sealed, .. } => init::is_about_seals(error, *sealed),
        Cause::System(error) => error.reason == rustix::io::Errno::IO,
        Cause::Plan { error: PlanError::Composefs(error), .. } => about_image(error) == DEPLOY_AGAIN,
        _ => false,
    }
}

fn what_to_do(failure: &Failure, survey: &Survey) -> Vec<String> {
    let shown = failure.sysroot.display().to_string();
    let sysroot = quoted(&shown);
    let mut actions = Vec::new();
    match &failure.cause {
        Cause::NotMounted(_) | Cause::NotOstree(_) => {
            actions.push(
                "compare root= in `cat /proc/cmdline` with `blkid`, or see `systemctl status sysroot.mount`".to_owned(),
            );
        }
        Cause::Configuration(errors) => actions.extend(configuration::correct(errors, failure.situation)),
        Cause::Plan { error: PlanError::Composefs(error), .. } => {
            match configuration::about_argument(error, failure.situation) {
                None => {
                    actions.push(about_image(error).to_owned());
                    actions.extend(deployment::without_image(error).map(str::to_owned));
                }
                Some(line) => actions.push(line.to_owned()),
            }
        }
        Cause::Verify { error, .. } => actions.push(about_signature(error, failure.situation).to_owned()),
        Cause::Plan { error: PlanError::HotfixWithoutUpper | PlanError::HotfixWork, deployment } => {
            actions.push(deployment::give_up_hotfix(&shown, deployment));
        }
        Cause::Hotfix { deployment, error } => {
            if error.reason == Errno::NODEV {
                actions.push(with_drivers(failure.situation, "overlay"));
            }
            actions.push(deployment::give_up_hotfix(&shown, deployment));
        }
        Cause::Plan { error: PlanError::Incomplete { name, .. }, .. } => {
            actions.push(deployment::incomplete(name).to_owned());
        }
        Cause::Init { error, sealed, at_boot_menu, .. } => {
            actions.extend(init::what_to_do(error, *sealed, *at_boot_menu).into_iter().map(str::to_owned));
        }
        Cause::Lookup(LookupError::NotADeployment { .. }) => {
            actions.push("boot another entry, and deploy the commit with `ostree admin deploy`".to_owned());
        }
        Cause::PreparedForAnother { .. } => actions.push("reboot, and choose that entry at the boot menu".to_owned()),
        Cause::Image { error, .. } if error.reason == rustix::io::Errno::NODEV => {
            actions.push(with_drivers(failure.situation, "erofs overlay loop"));
        }
        Cause::Image { error, at_boot_menu, .. } if error.reason == rustix::io::Errno::OPNOTSUPP => {
            actions.push("boot an entry with a newer kernel".to_owned());
            if *at_boot_menu == AtBootMenu::SwitchOff {
                actions.push(init::WITHOUT_IMAGE.to_owned());
            }
        }
        Cause::System(error) if error.reason == rustix::io::Errno::NODEV => {
            actions.push(with_drivers(failure.situation, "overlay"));
        }
        _ => {}
    }
    let by_hand = failure.situation != Situation::Pid1;
    if by_hand && is_about_an_image(&failure.cause) {
        actions
            .push(format!("see which deployments are whole: /usr/lib/ostree/ostree-prepare-root --verify {sysroot}"));
    }
    actions.extend(elsewhere::actions(failure, survey));
    actions
}

#[cfg(test)]
mod tests;
