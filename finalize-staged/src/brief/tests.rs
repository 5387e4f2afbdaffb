use ostree_formats::bls::BlsError;
use ostree_formats::repo_config::RepoConfigError;
use rustix::io::Errno;

use super::*;
use crate::etc_merge::path::EtcPath;

fn deployment() -> DeploymentPath {
    format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64)).parse().unwrap()
}

fn conflict(path: &str) -> Conflict {
    Conflict {
        path: EtcPath::default().join(path.as_bytes()),
        machine: "a file",
        new: "a directory",
        in_the_way: Vec::new(),
    }
}

fn every_error() -> Vec<Error> {
    let system = || SystemError {
        operation: "write",
        object: "/boot/ostree/os-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/vmlinuz".into(),
        reason: Errno::IO,
        kernel: None,
    };
    let sysroot = [
        SysrootError::System(system()),
        SysrootError::NotBooted,
        SysrootError::VersionLink { link: "/boot/loader".into(), found: "leads to x".into(), wanted: "y".into() },
        SysrootError::UnknownLayout { link: "/ostree/boot.0".into() },
        SysrootError::NextRoot { path: "/run/ostree/nextroot-booted", reason: "x".into() },
        SysrootError::BootNotMounted,
        SysrootError::Entry { path: "/boot/loader/entries/ostree-1.conf".into(), reason: BlsError::NotUtf8 },
        SysrootError::RepoConfig(RepoConfigError::UnknownBootloader("lilo".into())),
        SysrootError::Origin {
            path: format!("/{}", deployment().origin_file()),
            reason: ostree_formats::origin::is_pinned(b"[x").unwrap_err(),
        },
        SysrootError::BootedNotListed { links: "ostree/boot.0".into() },
        SysrootError::NoTitle(deployment()),
        SysrootError::OverlayMissing("x".repeat(64)),
    ];
    let kernels = [
        KernelError::System(system()),
        KernelError::Missing(deployment()),
        KernelError::Mismatch { deployment: deployment(), one: "x".into(), other: "y".into() },
        KernelError::Several { deployment: deployment(), candidates: vec!["x".into()] },
        KernelError::NotOnRecord {
            deployment: deployment(),
            wanted: "a".repeat(64).parse().unwrap(),
            candidates: Vec::new(),
        },
        KernelError::Damaged {
            deployment: deployment(),
            found: "b".repeat(64),
            wanted: "a".repeat(64).parse().unwrap(),
            absolute_link: None,
        },
    ];
    let mut all: Vec<Error> = sysroot.into_iter().map(Error::from).collect();
    all.extend(kernels.into_iter().map(|error| Error::Sysroot(SysrootError::Kernel(error))));
    all.extend([
        Error::System(system()),
        Error::NotRoot,
        Error::TargetMissing(deployment()),
        Error::MergeDeploymentMissing(deployment()),
        Error::Conflicts(vec![conflict("hosts"), conflict("hostname")]),
        Error::Conflicts(vec![conflict("it's\u{1b}[2J")]),
        Error::NoShippedEtc(deployment()),
        Error::EtcTooDeep(format!("/etc{}", "/d".repeat(2100))),
        Error::BootOnFat,
        Error::Policy("the module x: y".into()),
        Error::BootFull { needed: 90_000_000, available: 1000, freed: 30_000_000, deployment: deployment() },
        Error::Esp("x".into()),
        Error::EspFull("x".into()),
        Error::OverlayWithUnifiedKernel(deployment()),
        Error::OverlayWithImage("x".into()),
        Error::SeveralImages("x".into()),
        Error::Locked { seconds: 240, holder: "rpm-ostree (1234)".into() },
        Error::NobodyToHandOverTo { reason: "the boot loader zipl".into(), program: "/usr/bin/ostree" },
        Error::HandOver { program: "/usr/bin/ostree", reason: Errno::NOEXEC },
    ]);
    all
}

/// As `systemctl status` shows the end of the journal, and the status of the service.
#[test]
fn what_is_wrong_and_what_to_type_is_on_a_screen_of_80_columns() {
    for error in every_error() {
        let brief = error.brief();
        let lines = brief.lines();
        assert!((2..=9).contains(&lines.len()), "{lines:#?}");
        for line in &lines {
            let is_typed = brief.typed.as_ref().is_some_and(|typed| line.trim_start() == typed);
            assert!(columns(line) <= 40 || is_typed, "{line}");
            assert!(!line.contains(&"a".repeat(62)), "{line}");
        }
        if let Some(typed) = &brief.typed {
            assert!(typed.len() <= 60, "{typed}");
            assert!(lines.iter().any(|line| line.trim_start() == typed), "{lines:?}");
        }
        let status = brief.status();
        let whole = format!("     Status: \"{status}\"");
        let is_short = brief.typed.as_ref().is_none_or(|typed| typed.len() <= 44);
        assert!(columns(&whole) <= 80 || !is_short, "{whole}");
        let end = brief.typed.as_ref().unwrap_or(&brief.cure);
        assert!(status.ends_with(end.as_str()), "{status}");
    }
}

#[test]
fn a_conflict_says_which_command_keeps_both() {
    let brief = Error::Conflicts(vec![conflict("hosts"), conflict("hostname")]).brief();
    assert_eq!(
        brief.lines(),
        [
            "/etc/hosts: a file here, a directory in",
            "  the update (and 1 more)",
            "both changed; keep yours aside:",
            "  mv /etc/hosts /etc/hosts.mine",
        ]
    );
    assert_eq!(brief.status(), "/etc/hosts: a file here, a direct…; mv /etc/hosts /etc/hosts.mine");
}
