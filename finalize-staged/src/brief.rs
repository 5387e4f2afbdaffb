//! An error for the screen of a person: `systemctl status` cuts every line of the journal at the edge of the terminal, so that of one
//! long line nothing is left that helps.

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::SysrootError;
use ostree_sysroot::kernel_layout::KernelError;
use system::SystemError;
use system::columns::{SCREEN, columns, cut, wrapped};
use system::printable::printable;
use system::shell::quoted;

use crate::error::Error;
use crate::etc_merge::conflict::Conflict;

/// What `systemctl status` has before a message: time, host name, `ostree[12345]: `.
const BEFORE_MESSAGE: usize = 40;
/// What it has around the status of a service: `     Status: "…"`.
const AROUND_STATUS: usize = 15;

/// What is wrong, and what a person can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brief {
    wrong: String,
    /// A sentence, or what precedes the command.
    cure: String,
    /// A command.
    typed: Option<String>,
}

impl Brief {
    pub(crate) fn new(wrong: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), cure: cure.into(), typed: None }
    }

    fn typed(mut self, command: impl Into<String>) -> Self {
        self.typed = Some(command.into());
        self
    }

    /// Lines that fit beside what `systemctl status` has before them. A command has a line of its own.
    pub(crate) fn lines(&self) -> Vec<String> {
        const INDENT: usize = 2;
        let fit = |text: &str| wrapped(&printable(text), SCREEN - BEFORE_MESSAGE, 0, INDENT);
        let mut lines = fit(&self.wrong);
        lines.extend(fit(&self.cure));
        lines.extend(self.typed.as_ref().map(|command| format!("  {command}")));
        lines
    }

    /// One line for the status of the service. The command is whole, and the rest is cut if it has to be.
    pub(crate) fn status(&self) -> String {
        let wrong = printable(&self.wrong);
        let end = format!("; {}", self.typed.as_ref().unwrap_or(&self.cure));
        let room = (SCREEN - AROUND_STATUS).saturating_sub(columns(&end));
        format!("{}{end}", cut(&wrong, room.max(20)))
    }
}

/// What has to be typed is not longer.
const LONGEST: usize = 60;
const STAGE_AGAIN: &str = "stage the update again";

impl Error {
    /// The error in few words.
    pub(crate) fn brief(&self) -> Brief {
        match self {
            Self::Sysroot(error) => of_sysroot(error),
            Self::System(error) => of_system(error),
            Self::NotRoot => Brief::new("finalization needs root", "without root, use --plan"),
            Self::Staged { path, .. } => Brief::new(format!("{path} is damaged"), STAGE_AGAIN),
            Self::TargetMissing(_) => Brief::new("the staged deployment does not exist", STAGE_AGAIN),
            Self::MergeDeploymentMissing(_) => {
                Brief::new("cannot merge /etc: the deployment to merge has no entry", STAGE_AGAIN)
            }
            Self::Conflicts(conflicts) => of_conflicts(conflicts),
            Self::NoShippedEtc(_) => {
                Brief::new("the staged deployment has no etc and no usr/etc", "rebuild the tree with usr/etc")
            }
            Self::EtcTooDeep(path) => Brief::new(format!("{} is too deep", cut(path, 40)), "remove that directory"),
            Self::BootOnFat => Brief::new("/boot is FAT, which has no links", "move /boot to ext4 or XFS"),
            Self::Policy(_) => Brief::new("the SELinux policy cannot be built", "remove the module that fails; list:")
                .typed("semodule -lfull"),
            Self::BootFull { needed, available, freed, .. } => {
                let (needed, room) = (mebibytes(*needed, true), mebibytes(available.saturating_add(*freed), false));
                let wrong = format!("/boot is full: {needed} MiB needed, room for {room}");
                Brief::new(wrong, "remove files, or an old deployment:").typed("ostree admin undeploy INDEX")
            }
            Self::Esp(_) => {
                Brief::new("the ESP cannot take the update", "the reason:").typed("firstroot esp sync --dry-run")
            }
            Self::OverlayWithUnifiedKernel(_) => {
                Brief::new("a unified kernel image loads no overlay initrds", "deploy without --overlay-initrd")
            }
            Self::OverlayWithImage(_) => {
                Brief::new("a unified kernel image loads no overlay initrds", "deploy without them, or set uki=ignore")
            }
            Self::SeveralImages(_) => {
                Brief::new("the tree has several unified kernel images", "build it with one, or set uki=ignore")
            }
            Self::RolledBack { from, .. } => {
                Brief::new("this update was rolled back before", "it did not come up; to allow it:")
                    .typed(format!("firstroot esp forget {}", from.digits()))
            }
            Self::EspFull(_) => Brief::new("the ESP is full", "remove files, or an old deployment:")
                .typed("ostree admin undeploy INDEX"),
            Self::Locked { holder, .. } => {
                Brief::new(format!("{holder} holds the sysroot lock"), "after a reboot, stage the update again")
            }
            Self::NobodyToHandOverTo { program, .. } => {
                Brief::new("only ostree can finalize this update", format!("install ostree: {program} is missing"))
            }
            Self::HandOver { program, reason } => {
                Brief::new(format!("cannot execute {program}: {reason}"), "reinstall ostree")
            }
        }
    }
}

fn mebibytes(bytes: u64, up: bool) -> u64 {
    const MEBIBYTE: u64 = 1 << 20;
    if up { bytes.div_ceil(MEBIBYTE) } else { bytes / MEBIBYTE }
}

/// The reason first: the path may be long.
fn of_system(error: &SystemError) -> Brief {
    let SystemError { operation, object, reason, .. } = error;
    Brief::new(format!("{reason}: cannot {operation} {object}"), "more is in the log of the kernel:").typed("dmesg")
}

fn of_conflicts(conflicts: &[Conflict]) -> Brief {
    let Some((Conflict { path, machine, new, .. }, others)) = conflicts.split_first() else {
        return Brief::new("/etc has conflicts", "see the next line");
    };
    let more = if others.is_empty() { String::new() } else { format!(" (and {} more)", others.len()) };
    let path = String::from_utf8_lossy(&path.absolute()).into_owned();
    let wrong = format!("{path}: {machine} here, {new} in the update{more}");
    let own = quoted(&path).into_owned();
    let kept = format!("{path}.mine");
    let command = format!("mv {own} {}", quoted(&kept));
    if command.len() > LONGEST {
        return Brief::new(wrong, "both changed: rename or move yours");
    }
    Brief::new(wrong, "both changed; keep yours aside:").typed(command)
}

fn of_sysroot(error: &SysrootError) -> Brief {
    const FSCK: &str = "ostree fsck";
    match error {
        SysrootError::System(error) => of_system(error),
        SysrootError::NotBooted => Brief::new("this is not a booted OSTree system", "nothing can be finalized here"),
        SysrootError::VersionLink { link, .. } => {
            Brief::new(format!("{link} is damaged"), "check the disk:").typed(FSCK)
        }
        SysrootError::UnknownLayout { link } => {
            Brief::new(format!("{link} is not a link"), "firstroot does not know this layout")
        }
        SysrootError::NextRoot { .. } => {
            Brief::new("the prepared soft reboot is unknown", "reboot:").typed("systemctl reboot")
        }
        SysrootError::BootNotMounted => Brief::new("/boot is not mounted", "mount it:").typed("mount /boot"),
        SysrootError::Entry { path, .. } => Brief::new(format!("{path} cannot be read"), "repair or remove that entry"),
        SysrootError::RepoConfig(error) => Brief::new(error.to_string(), "correct /ostree/repo/config"),
        SysrootError::Origin { path, .. } => {
            Brief::new(format!("the origin {} is damaged", short(path)), "repair it, or remove its deployment:")
                .typed("ostree admin undeploy INDEX")
        }
        SysrootError::BootedNotListed { .. } => {
            Brief::new("boot links and entries do not match", "if this boot was recovered, repair them:")
                .typed("sed -n 's/^repair=//p' /run/ostree/recovered-boot | sh -e")
        }
        SysrootError::Kernel(error) => of_kernel(error),
        SysrootError::NoTitle(_) => Brief::new("the tree has no os-release", "rebuild the tree with os-release"),
        SysrootError::OverlayMissing(_) => Brief::new("an overlay initrd is missing", STAGE_AGAIN),
    }
}

fn of_kernel(error: &KernelError) -> Brief {
    match error {
        KernelError::System(error) => of_system(error),
        KernelError::Missing(path) => {
            Brief::new(format!("{} has no kernel", name(path)), "rebuild the tree with a kernel")
        }
        KernelError::Mismatch { deployment, .. } => {
            Brief::new(format!("the kernel of {} is damaged", name(deployment)), "check the disk:").typed("ostree fsck")
        }
        KernelError::Several { deployment, .. } => {
            Brief::new(format!("{} has several kernels", name(deployment)), "rebuild the tree with one kernel")
        }
        KernelError::NotOnRecord { deployment, .. } | KernelError::Damaged { deployment, .. } => {
            Brief::new(format!("the kernel of {} is damaged", name(deployment)), "check the disk, then stage again:")
                .typed("ostree fsck")
        }
    }
}

/// A deployment by the first digits of its checksum.
fn name(path: &DeploymentPath) -> String {
    let digits = path.id.commit.as_str().get(..8).unwrap_or_default();
    format!("the deployment {digits}….{}", path.id.deployserial)
}

fn short(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name.get(..8).unwrap_or(name))
}

#[cfg(test)]
mod tests;
