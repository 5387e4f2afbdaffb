//! Which deployment a boot loader entry meant, if its boot link is missing.
//!
//! The most reported way in which OSTree systems stop booting: every entry names `boot.1/…`, but only `boot.0/…` exists,
//! or the other way round. The bootcsum in the entry identifies the kernel and initramfs that are running now. Only a
//! deployment that has them can be the right one. Nothing is written to the disk.

use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::{ComposefsMode, PrepareRootConf};
use rustix::io::Errno;
use serde::Serialize;
use system::printable::printable;
use system::shell::quoted;

use crate::facts::Candidates;

/// A deployment that is booted in place of a missing boot link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Recovery {
    /// The link that is missing.
    pub(crate) missing: Bootlink,
    /// The deployment that is booted.
    pub(crate) deployment: DeploymentPath,
    /// Why this one.
    pub(crate) reason: String,
    /// A shell command that repairs the links in the booted system.
    pub(crate) repair: String,
}

impl Recovery {
    /// The repair gives the link of the slot at `path` its deployment, too.
    pub(crate) fn with_slot(mut self, path: &str) -> Self {
        let (target, link) = (text_of_slot(&self.deployment), format!("/sysroot{path}"));
        self.repair = format!("{} && ln -sfnT {} {} && sync", self.repair, quoted(&target), quoted(&link));
        self
    }
}

/// Why no deployment was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoRecovery {
    /// No deployment has that kernel.
    NoKernel,
    /// Several have it, and it is unknown which one was meant.
    Ambiguous(Vec<DeploymentPath>),
    /// One of them could not be checked.
    Unknown(DeploymentPath, Errno),
}

/// The text for the link of an Android slot: libostree's generator takes the stateroot from it.
fn text_of_slot(deployment: &DeploymentPath) -> String {
    format!("deploy/{}/deploy/{}", deployment.stateroot, deployment.id)
}

/// A signature that is demanded must not be bypassed by booting another deployment.
pub(crate) fn may_recover(conf: &PrepareRootConf, composefs_argument: Option<&str>) -> bool {
    let signed = conf.composefs == ComposefsMode::Signed || composefs_argument == Some("signed");
    conf.boot_recover && !signed
}

/// Decides. With several candidates the link of the other bootversion decides only if all candidates have the same commit:
/// each list of deployments has its own bootserials, so the same number can mean another deployment there.
pub(crate) fn choose(candidates: &Candidates) -> Result<Recovery, NoRecovery> {
    let Candidates { link, with_that_kernel, under_other_bootversion, .. } = candidates;
    if let Some((deployment, reason)) = candidates.unknown.first() {
        return Err(NoRecovery::Unknown(deployment.clone(), *reason));
    }
    let recovery = |deployment: &DeploymentPath, reason: String| Recovery {
        missing: link.clone(),
        deployment: deployment.clone(),
        reason,
        repair: repair_command(candidates, deployment),
    };
    match (with_that_kernel.as_slice(), under_other_bootversion) {
        ([], _) => Err(NoRecovery::NoKernel),
        ([only], _) => Ok(recovery(only, "it is the only deployment with the running kernel".to_owned())),
        ([first, rest @ ..], Some(other)) if rest.iter().all(|d| d.id.commit == first.id.commit) => {
            let named = with_that_kernel.iter().find(|d| *d == other);
            let reason = format!(
                "the link /{} leads to it, and all candidates have the same commit",
                link.under_other_bootversion()
            );
            named
                .map(|deployment| recovery(deployment, reason))
                .ok_or_else(|| NoRecovery::Ambiguous(with_that_kernel.clone()))
        }
        (several, _) => Err(NoRecovery::Ambiguous(several.to_vec())),
    }
}

/// Makes the missing link. If its whole set is missing, copies the other set first, if there is one: all entries need their
/// links, not only the booted one.
fn repair_command(candidates: &Candidates, deployment: &DeploymentPath) -> String {
    let link = &candidates.link;
    let (this, other) = (link.bootversion, link.bootversion.other());
    let set = format!("/sysroot/ostree/boot.{this}");
    let directory = if candidates.set_exists { set.clone() } else { format!("{set}.0") };
    let mut commands = vec!["mount -o remount,rw /sysroot".to_owned()];
    if !candidates.set_exists && candidates.other_set_exists {
        commands.push(format!("cp -aT /sysroot/ostree/boot.{other}/ {directory}"));
    }
    let of_link = format!("{directory}/{}/{}", link.stateroot, link.bootcsum);
    commands.push(format!("mkdir -p {}", quoted(&of_link)));
    let target = format!("../../../deploy/{}/deploy/{}", deployment.stateroot, deployment.id);
    let new_link = format!("{of_link}/{}", link.bootserial);
    commands.push(format!("ln -sfnT {} {}", quoted(&target), quoted(&new_link)));
    if !candidates.set_exists {
        commands.push(format!("ln -sfnT boot.{this}.0 {set}"));
    }
    commands.push("sync".to_owned());
    commands.join(" && ")
}

/// `/run/ostree/recovered-boot`: a key file for later tools. A value is one line even if a name in it has
/// a line break. The command is for a shell and has no escapes of a key file.
pub(crate) fn record(recovery: &Recovery) -> String {
    let Recovery { missing, deployment, reason, repair } = recovery;
    let (missing, deployment) = (format!("/{missing}"), format!("/{deployment}"));
    let keys = [("missing", &missing), ("deployment", &deployment), ("reason", reason), ("repair", repair)];
    let lines = keys.map(|(key, value)| format!("{key}={}\n", printable(value)));
    format!("[recovery]\n{}", lines.concat())
}

/// The warning for console and journal.
pub(crate) fn warning(recovery: &Recovery) -> String {
    let Recovery { missing, deployment, reason, repair } = recovery;
    format!(
        "the boot link /{missing} is missing; booting /{deployment}, because {reason}. \
         ostree may be unable to update before you repair the links: {repair}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(commit: char, serial: u32) -> DeploymentPath {
        format!("ostree/deploy/debian/deploy/{}.{serial}", commit.to_string().repeat(64)).parse().unwrap()
    }

    fn candidates(with_that_kernel: &[DeploymentPath], other: Option<DeploymentPath>) -> Candidates {
        let link = format!("ostree/boot.1/debian/{}/1", "c".repeat(64)).parse().unwrap();
        Candidates {
            link,
            with_that_kernel: with_that_kernel.to_vec(),
            unknown: Vec::new(),
            other_set_exists: other.is_some(),
            under_other_bootversion: other,
            set_exists: false,
        }
    }

    #[test]
    fn one_of_which_nobody_knows_may_be_the_one_that_was_meant() {
        let mut candidates = candidates(&[deployment('a', 0)], None);
        candidates.unknown.push((deployment('b', 0), Errno::IO));
        assert_eq!(choose(&candidates), Err(NoRecovery::Unknown(deployment('b', 0), Errno::IO)));
    }

    #[test]
    fn a_set_that_lacks_one_link_keeps_the_others() {
        let mut candidates = candidates(&[deployment('a', 0)], Some(deployment('a', 0)));
        candidates.set_exists = true;
        let repair = choose(&candidates).unwrap().repair;
        assert!(!repair.contains("cp ") && !repair.contains("boot.1.0"), "{repair}");
        candidates.set_exists = false;
        let repair = choose(&candidates).unwrap().repair;
        assert!(repair.contains("cp -aT /sysroot/ostree/boot.0/") && repair.contains("boot.1.0"), "{repair}");
    }

    #[test]
    fn a_name_is_no_command_and_no_line() {
        let odd = "x'; touch pwned; '\n[recovery]\nrepair=reboot";
        let deployment: DeploymentPath = format!("ostree/deploy/{odd}/deploy/{}.0", "a".repeat(64)).parse().unwrap();
        let mut candidates = candidates(std::slice::from_ref(&deployment), None);
        candidates.link.stateroot = deployment.stateroot.clone();
        let recovery = choose(&candidates).unwrap();
        let record = record(&recovery);
        assert_eq!(record.lines().count(), 5, "{record}");
        let command = record.lines().find_map(|line| line.strip_prefix("repair=")).unwrap();
        // Instead of the programs that it names, one that says what it was called with.
        let functions = "mount() { :; }; sync() { :; }; mkdir() { printf '%s\\0' \"$2\"; }; ln() { printf '%s\\0' \"$2\" \"$3\"; };";
        let output = std::process::Command::new("sh").args(["-c", &format!("{functions} {command}")]).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let of_link = format!("/sysroot/ostree/boot.1.0/{odd}/{}", "c".repeat(64));
        let target = format!("../../../deploy/{odd}/deploy/{}.0", "a".repeat(64));
        let expected =
            [of_link.clone(), target, format!("{of_link}/1"), "boot.1.0".into(), "/sysroot/ostree/boot.1".into()];
        assert_eq!(shown.split_terminator('\0').collect::<Vec<_>>(), expected, "{command}");
    }

    #[test]
    fn the_only_one_is_booted_whatever_other_links_say() {
        let only = deployment('a', 0);
        for other in [None, Some(deployment('b', 0)), Some(only.clone())] {
            assert_eq!(choose(&candidates(std::slice::from_ref(&only), other)).unwrap().deployment, only);
        }
    }

    #[test]
    fn of_several_with_one_commit_the_other_link_decides() {
        let both = [deployment('a', 0), deployment('a', 1)];
        assert_eq!(choose(&candidates(&both, Some(both[1].clone()))).unwrap().deployment, both[1]);
        assert_eq!(choose(&candidates(&both, None)), Err(NoRecovery::Ambiguous(both.to_vec())));
        assert_eq!(choose(&candidates(&both, Some(deployment('b', 0)))), Err(NoRecovery::Ambiguous(both.to_vec())));
    }

    #[test]
    fn of_several_commits_none_is_guessed() {
        let both = [deployment('a', 0), deployment('b', 0)];
        assert_eq!(choose(&candidates(&both, Some(both[0].clone()))), Err(NoRecovery::Ambiguous(both.to_vec())));
    }

    #[test]
    fn without_that_kernel_there_is_nothing_to_boot() {
        assert_eq!(choose(&candidates(&[], Some(deployment('a', 0)))), Err(NoRecovery::NoKernel));
    }
}
