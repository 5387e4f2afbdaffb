//! A report for every way in which a boot can fail, as a directory: `screen` and `whole`. `UPDATE_EXPECT=1` rewrites them.

use std::collections::BTreeSet;
use std::path::Path;

use expect_test::expect_file;
use ostree_formats::cmdline::{BootTarget, TargetError, TargetSource};
use ostree_formats::commit::CommitError;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::prepare_root_conf::{self, ConfigFile};
use ostree_formats::signature::{KeysError, SignatureError};
use ostree_sysroot::boot_links::LookupError;
use rustix::io::Errno;
use system::SystemError;

use super::shape;
use crate::facts::{Caller, Deployments, Lack, ListedDeployment, Scope};
use crate::failed::cause::{Cause, Failure, InitError};
use crate::failed::report::whole;
use crate::failed::survey::{MountedAs, Survey, Surveyed};
use crate::plan::PlanError;
use crate::plan::choice::ChoiceError;
use crate::plan::composefs::{AtBootMenu, ComposefsError};
use crate::read::commit_signature::VerifyError;

fn sum(digits: &str) -> String {
    format!("{digits}{}", "0123456789abcdef".repeat(4)).chars().take(64).collect()
}

fn deployment(digits: &str, serial: u32) -> String {
    format!("ostree/deploy/fedora/deploy/{}.{serial}", sum(digits))
}

fn boot_link() -> String {
    format!("/ostree/boot.1/fedora/{}/0", sum("01d0"))
}

/// Three deployments: the second and the third have one commit, and the third is not finalized.
fn disk() -> Survey {
    let list = vec![
        ListedDeployment {
            path: deployment("5be7", 0).parse().unwrap(),
            version: Some("43.20261128.0".into()),
            time: Some(1_795_852_800),
        },
        ListedDeployment {
            path: deployment("87422", 1).parse().unwrap(),
            version: Some("43.20261120.0".into()),
            time: Some(1_795_161_600),
        },
        ListedDeployment { path: deployment("87422", 0).parse().unwrap(), version: None, time: None },
    ];
    let surveyed = list.iter().enumerate().map(|(number, listed)| Surveyed {
        number,
        listed: listed.clone(),
        origin: Some("ostree-unverified-registry:quay.io/example/kinoite:latest".into()),
        title: Some(format!("Fedora Linux {} (Kinoite)", listed.version.as_deref().unwrap_or("43"))),
        is_complete: number < 2,
        has_modules: number == 0,
    });
    let link = |serial: u32, of: &str| {
        (format!("/ostree/boot.0/fedora/{}/{serial}", sum("01d0")), format!("../../../{}", &of[7..]))
    };
    Survey {
        mounted: Some(MountedAs {
            source: "/dev/mapper/luks-0b7ea1ab-7d4a-4cb0-8f6e-4b1b6f0b1c1c".into(),
            fstype: "btrfs".into(),
            options: "rw,relatime,compress=zstd:1,discard=async,space_cache=v2,subvolid=257,subvol=/root".into(),
        }),
        top_level: vec!["boot".into(), "ostree".into()],
        boot_links: vec![link(0, &deployment("5be7", 0)), link(1, &deployment("87422", 1))],
        deployments: surveyed.collect(),
        numbered: Deployments { list, ..Deployments::default() },
        scope: Scope::Stateroot("fedora".parse().unwrap()),
        other_names: Vec::new(),
        unread: Vec::new(),
    }
}

fn failure(cause: Cause, caller: Caller) -> Failure {
    let path = boot_link();
    let argument = format!("ostree={path}");
    let asked_for = BootTarget { path, source: TargetSource::Ostree, argument };
    let asked_for = (!matches!(cause, Cause::Target(_))).then_some(asked_for);
    Failure { cause, caller, sysroot: "/sysroot".into(), asked_for }
}

fn golden(name: &str, failure: &Failure, survey: &Survey) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(name);
    std::fs::create_dir_all(&directory).unwrap();
    expect_file![directory.join("screen")].assert_eq(&shape::check(failure, survey));
    expect_file![directory.join("whole")].assert_eq(&whole(failure, survey));
}

/// Every kind of failure; a new one does not compile without a name here, and has no directory before it has a case.
fn kind(cause: &Cause) -> &'static str {
    match cause {
        Cause::Target(_) => "no-target",
        Cause::Configuration(_) => "configuration",
        Cause::NotMounted(_) => "not-mounted",
        Cause::SysrootIsRoot(_) => "sysroot-is-root",
        Cause::NotOstree(_) => "not-ostree",
        Cause::Lookup(error) => match error {
            LookupError::Missing(_) => "link-missing",
            LookupError::NotALink { .. } => "link-is-none",
            LookupError::Dangling { .. } => "link-dangling",
            LookupError::Loop(_) => "link-loop",
            LookupError::NotADirectory { .. } => "link-to-a-file",
            LookupError::NotADeployment { .. } => "link-elsewhere",
            LookupError::Other { .. } => "link-unreadable",
        },
        Cause::Choice { error, .. } => match error {
            ChoiceError::Nothing { .. } => "choice-of-nothing",
            ChoiceError::Several { .. } => "choice-of-several",
            ChoiceError::OtherStateroot { .. } => "choice-in-another-stateroot",
            ChoiceError::NoStateroot { .. } => "choice-without-stateroot",
            ChoiceError::Unread { .. } => "choice-uncertain",
        },
        Cause::Ambiguous { .. } => "link-missing-ambiguous",
        Cause::Unknown { .. } => "link-missing-unknown",
        Cause::PreparedForAnother { .. } => "prepared-for-another",
        Cause::Plan { error, .. } => match error {
            PlanError::Composefs(error) => match error {
                ComposefsError::BadArgument(_) => "composefs-bad-argument",
                ComposefsError::Weaker { .. } => "composefs-weaker",
                ComposefsError::SignedWithoutInitramfs { .. } => "composefs-signed-without-initramfs",
                ComposefsError::TransientWithoutComposefs { .. } => "transient-without-composefs",
                ComposefsError::TransientWithoutImage(_) => "transient-without-image",
                ComposefsError::NoImage { .. } => "composefs-no-image",
                ComposefsError::NotAFile { .. } => "composefs-image-is-no-file",
                ComposefsError::NotVerified { .. } => "composefs-not-verified",
                ComposefsError::NotSealed { .. } => "composefs-not-sealed",
                ComposefsError::NoVerity { .. } => "composefs-no-verity",
                ComposefsError::OtherAlgorithm(_) => "composefs-other-algorithm",
                ComposefsError::WrongDigest { .. } => "composefs-wrong-digest",
            },
            PlanError::Incomplete { .. } => "incomplete",
            PlanError::NoStaterootVar(_) => "no-stateroot-var",
            PlanError::HotfixWithoutUpper => "hotfix-without-upper",
            PlanError::HotfixWork => "hotfix-damaged",
            PlanError::NoInit => "no-init-to-execute",
        },
        Cause::Verify { error, .. } => match **error {
            VerifyError::KeysUnreadable { .. } => "signature-keys-unreadable",
            VerifyError::Keys { .. } => "signature-keys-unusable",
            VerifyError::CommitUnreadable { .. } => "signature-commit-unreadable",
            VerifyError::OtherCommit { .. } => "signature-commit-damaged",
            VerifyError::Commit { .. } => "signature-commit-unusable",
            VerifyError::NoMetadata { .. } => "signature-missing",
            VerifyError::NoMetadataOfParent { .. } => "signature-missing-of-container",
            VerifyError::MetadataUnreadable { .. } => "signature-unreadable",
            VerifyError::Signature { .. } => "signature-of-another-key",
            VerifyError::NoDigest { .. } => "signature-without-digest",
            VerifyError::DigestLength { .. } => "signature-digest-length",
        },
        Cause::Image { .. } => "image-not-mounted",
        Cause::Hotfix { .. } => "hotfix-not-mounted",
        Cause::Init { error, .. } => match error {
            InitError::Missing(_) => "init-missing",
            InitError::Named { .. } => "init-named",
            InitError::Unreadable { .. } => "init-unreadable",
        },
        Cause::System(_) => "system-call",
        Cause::Exec { .. } => "exec",
    }
}

fn plan(error: impl Into<PlanError>) -> Cause {
    Cause::Plan { deployment: deployment("5be7", 0).parse().unwrap(), error: error.into() }
}

fn verify(error: VerifyError) -> Cause {
    Cause::Verify { deployment: deployment("5be7", 0).parse().unwrap(), error: Box::new(error) }
}

fn choice(error: ChoiceError) -> Cause {
    Cause::Choice { argument: "firstroot.deployment=8742".into(), error }
}

fn of_links() -> Vec<Cause> {
    let path = boot_link;
    let target = format!("../../../deploy/fedora/deploy/{}.0", sum("aaaa"));
    vec![
        TargetError::Missing.into(),
        LookupError::Missing(path()).into(),
        LookupError::NotALink { path: path(), found: "a directory" }.into(),
        LookupError::Dangling { path: path(), target: target.clone() }.into(),
        LookupError::Loop(path()).into(),
        LookupError::NotADirectory { path: path(), target }.into(),
        LookupError::NotADeployment { path: path(), end: "/ostree/deploy/fedora/deploy/1234".into() }.into(),
        LookupError::Other { path: path(), reason: Errno::IO }.into(),
        choice(ChoiceError::Nothing { there_are: "there are: 0 (5be7.0)".into() }),
        choice(ChoiceError::Several { which: "1 (8742.1), 2 (8742.0)".into(), numbers: "1, 2".into() }),
        choice(ChoiceError::OtherStateroot { found: "other".parse().unwrap(), asked: "fedora".parse().unwrap() }),
        choice(ChoiceError::NoStateroot { there_are: "there are: 0 (5be7.0)".into() }),
        choice(ChoiceError::Unread {
            path: format!("/ostree/repo/objects/87/{}.commit", &sum("87422")[2..]),
            reason: Errno::IO,
            digits: "its first digits",
        }),
        Cause::Ambiguous {
            missing: path(),
            candidates: vec![deployment("5be7", 0).parse().unwrap(), deployment("87422", 1).parse().unwrap()],
        },
        Cause::Unknown { missing: path(), candidate: deployment("87422", 1).parse().unwrap(), reason: Errno::LOOP },
        Cause::PreparedForAnother {
            sysroot: "/sysroot".into(),
            prepared: format!("/{}", deployment("5be7", 0)),
            asked: deployment("87422", 1),
        },
    ]
}

fn of_plans() -> Vec<Cause> {
    let demanded = || "[composefs] enabled = signed".to_owned();
    vec![
        plan(ComposefsError::BadArgument("perhaps".into())),
        plan(ComposefsError::Weaker { argument: "no".into(), configured: "signed" }),
        plan(ComposefsError::SignedWithoutInitramfs { demanded: demanded(), by_argument: false }),
        plan(ComposefsError::TransientWithoutComposefs { key: "transient", off: demanded(), by_argument: false }),
        plan(ComposefsError::TransientWithoutImage("transient")),
        plan(ComposefsError::NoImage { demanded: demanded(), at_boot_menu: AtBootMenu::SwitchOff }),
        plan(ComposefsError::NotAFile { found: "a directory" }),
        plan(ComposefsError::NotVerified { demanded: demanded() }),
        plan(ComposefsError::NotSealed { demanded: demanded() }),
        plan(ComposefsError::NoVerity { demanded: demanded(), lack: Lack::Filesystem }),
        plan(ComposefsError::OtherAlgorithm(2)),
        plan(ComposefsError::WrongDigest { found: sum("aa"), signed: sum("bb") }),
        plan(PlanError::Incomplete { name: "etc", found: "nothing" }),
        plan(PlanError::NoStaterootVar("a file")),
        plan(PlanError::HotfixWithoutUpper),
        plan(PlanError::HotfixWork),
        plan(PlanError::NoInit),
    ]
}

fn of_signatures() -> Vec<Cause> {
    let keys = || "/etc/ostree/initramfs-root-binding.key".to_owned();
    let commit = || sum("5be7").parse().unwrap();
    let path = |kind: &str| format!("/ostree/repo/objects/5b/{}.{kind}", &sum("5be7")[2..]);
    vec![
        verify(VerifyError::KeysUnreadable { path: keys(), reason: Errno::NOENT }),
        verify(VerifyError::Keys { path: keys(), error: KeysError::Empty }),
        verify(VerifyError::CommitUnreadable { path: path("commit"), reason: Errno::NOENT }),
        verify(VerifyError::OtherCommit { path: path("commit"), found: sum("cc") }),
        verify(VerifyError::Commit { path: path("commit"), error: CommitError::NotACommit }),
        verify(VerifyError::NoMetadata { commit: commit(), path: path("commitmeta") }),
        verify(VerifyError::NoMetadataOfParent {
            commit: commit(),
            parent: sum("dddd").parse().unwrap(),
            path: path("commitmeta"),
        }),
        verify(VerifyError::MetadataUnreadable { path: path("commitmeta"), reason: Errno::IO }),
        verify(VerifyError::Signature {
            commit: commit(),
            keys: keys(),
            path: path("commitmeta"),
            error: SignatureError::NoneFits(1),
        }),
        verify(VerifyError::NoDigest { commit: commit() }),
        verify(VerifyError::DigestLength { commit: commit(), bytes: 20 }),
    ]
}

fn of_the_rest() -> Vec<Cause> {
    let bad =
        ConfigFile { path: "/etc/ostree/prepare-root.conf".into(), bytes: b"[sysroot]\nreadonly=perhaps\n".to_vec() };
    let overlay = SystemError {
        operation: "mount",
        object: "a filesystem of type overlay".into(),
        reason: Errno::NODEV,
        kernel: Some("overlay: said so".into()),
    };
    let first = || deployment("5be7", 0).parse().unwrap();
    let at_boot_menu = AtBootMenu::SwitchOff;
    let init = |error, sealed| Cause::Init { deployment: first(), error, sealed, at_boot_menu };
    vec![
        Cause::Configuration(prepare_root_conf::parse(Some(&bad), &[]).errors),
        Cause::NotMounted("/sysroot".into()),
        Cause::SysrootIsRoot("/elsewhere".into()),
        Cause::NotOstree("/sysroot".into()),
        Cause::Image {
            deployment: first(),
            error: Box::new(SystemError { reason: Errno::IO, ..overlay.clone() }),
            at_boot_menu,
        },
        Cause::Hotfix { deployment: first(), error: Box::new(overlay.clone()) },
        init(InitError::Missing(vec!["/sbin/init".into(), "/etc/init".into(), "/bin/init".into()]), false),
        init(InitError::Named { path: "/opt/init".into(), reason: Errno::NOENT }, false),
        init(
            InitError::Unreadable {
                path: "/lib64/ld-linux-x86-64.so.2".into(),
                needed_by: Some("/usr/lib/systemd/systemd".into()),
                reason: Errno::IO,
            },
            true,
        ),
        overlay.into(),
        Cause::Exec { init: "/sbin/init", reason: Errno::NOEXEC },
    ]
}

#[test]
fn every_failure_has_a_report_that_fits() {
    let mut kinds = BTreeSet::new();
    for cause in of_links().into_iter().chain(of_plans()).chain(of_signatures()).chain(of_the_rest()) {
        let name = kind(&cause);
        assert!(kinds.insert(name), "{name} twice");
        let survey = match cause {
            Cause::NotMounted(_) => Survey::default(),
            Cause::NotOstree(_) => {
                Survey { mounted: disk().mounted, top_level: vec!["EFI".into()], ..Survey::default() }
            }
            Cause::Choice { error: ChoiceError::NoStateroot { .. }, .. } => several_stateroots(),
            _ => disk(),
        };
        for caller in [Caller::Script, Caller::Pid1] {
            shape::check(&failure(cause.clone(), caller), &survey);
        }
        golden(name, &failure(cause, Caller::Systemd), &survey);
    }
    let directories = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports")).unwrap();
    let others = ["android-slot", "disk-full-of-odd-names", "disk-that-fails"];
    let names: BTreeSet<String> = directories.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let expected: BTreeSet<String> = kinds.into_iter().chain(others).map(str::to_owned).collect();
    assert_eq!(names, expected, "a directory for each kind of failure");
}

fn several_stateroots() -> Survey {
    let mut survey = Survey { scope: Scope::OnlyStateroot, ..disk() };
    let other: DeploymentPath = deployment("87422", 1).replace("/fedora/", "/other/").parse().unwrap();
    for listed in survey.deployments.iter_mut().map(|surveyed| &mut surveyed.listed).chain(&mut survey.numbered.list) {
        if listed.path.id.deployserial == 1 {
            listed.path = other.clone();
        }
    }
    survey
}

#[test]
fn a_slot_has_a_report_that_fits() {
    let target = format!("../ostree/boot.1/fedora/{}/0", sum("01d0"));
    let mut failure = failure(LookupError::Dangling { path: "/ostree/root.a".into(), target }.into(), Caller::Systemd);
    failure.asked_for = Some(BootTarget {
        path: "/ostree/root.a".into(),
        source: TargetSource::AndroidSlot,
        argument: "androidboot.slot_suffix=_a".into(),
    });
    golden("android-slot", &failure, &disk());
}

/// Names that are long, wide, or meant for a terminal; and many of them.
#[test]
fn odd_names_fit() {
    let mut survey = disk();
    for surveyed in &mut survey.deployments {
        surveyed.title = Some("한글 \u{1b}[2J\u{202e} ".repeat(30));
        surveyed.listed.version = Some("9".repeat(300));
    }
    let template = survey.deployments[0].clone();
    for number in 3..40 {
        let path = deployment(&format!("{number:04}"), 0).parse().unwrap();
        let listed = ListedDeployment { path, version: None, time: Some(u64::MAX) };
        survey.numbered.list.push(listed.clone());
        if number < 16 {
            survey.deployments.push(Surveyed { number, listed, ..template.clone() });
        }
    }
    survey.other_names = vec![format!("/ostree/deploy/fedora/deploy/{}", "x".repeat(255)); 16];
    survey.unread = vec![("/ostree/boot.0\n<3>forged".into(), Errno::IO); 16];
    survey.mounted.as_mut().unwrap().source = "disk\n".repeat(100);
    let names: String = (0..100).map(|n| format!("ostree=\"{n}\" \n\t'; reboot")).collect();
    let path = format!("/ostree/{names}");
    let mut failure = failure(LookupError::Missing(path.clone()).into(), Caller::Systemd);
    failure.asked_for = Some(BootTarget { argument: format!("ostree={path}"), path, source: TargetSource::Ostree });
    golden("disk-full-of-odd-names", &failure, &survey);
}

#[test]
fn a_disk_that_fails_is_told_from_one_that_lacks_something() {
    let survey = Survey {
        boot_links: Vec::new(),
        deployments: Vec::new(),
        numbered: Deployments::default(),
        unread: vec![("/ostree/boot.0".into(), Errno::IO), ("/ostree/deploy".into(), Errno::IO)],
        ..disk()
    };
    let cause = LookupError::Other { path: boot_link(), reason: Errno::IO };
    golden("disk-that-fails", &failure(cause.into(), Caller::Systemd), &survey);
}
