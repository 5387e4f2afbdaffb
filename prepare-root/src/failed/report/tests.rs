mod golden;
mod shape;

use super::whole;

use expect_test::expect;
use ostree_formats::cmdline::{BootTarget, TargetError, TargetSource};
use ostree_formats::prepare_root_conf::{self, ConfigFile};
use ostree_sysroot::boot_links::LookupError;
use rustix::io::Errno;
use system::SystemError;

use crate::facts::{Caller, Deployments, ListedDeployment};
use crate::failed::cause::{Cause, Failure, InitError};
use crate::failed::survey::{MountedAs, Survey, Surveyed};
use crate::plan::PlanError;
use crate::plan::composefs::{AtBootMenu, ComposefsError};
use crate::read::commit_signature::VerifyError;

const DEPLOYMENT: &str = "ostree/deploy/os/deploy/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.0";

fn failure(cause: Cause, caller: Caller) -> Failure {
    let asked_for = match &cause {
        Cause::Target(_) => None,
        _ => Some(BootTarget {
            path: "/ostree/boot.1/os/c/0".to_owned(),
            source: TargetSource::Ostree,
            argument: "ostree=/ostree/boot.1/os/c/0".to_owned(),
        }),
    };
    Failure { cause, caller, sysroot: "/sysroot".into(), asked_for }
}

/// The whole report. That for the screen says the same in a shape that every report has.
fn report(failure: &Failure, survey: &Survey) -> String {
    shape::check(failure, survey);
    whole(failure, survey)
}

/// Deployments with these paths, numbered in this order.
fn deployments(paths: &[&str]) -> (Vec<Surveyed>, Deployments) {
    let listed = |path: &&str| ListedDeployment { path: path.parse().unwrap(), version: None, time: None };
    let list: Vec<ListedDeployment> = paths.iter().map(listed).collect();
    let surveyed = list.iter().enumerate().map(|(number, listed)| Surveyed {
        number,
        listed: listed.clone(),
        origin: Some("debian:stable".to_owned()),
        title: None,
        is_complete: true,
        has_modules: true,
    });
    (surveyed.collect(), Deployments { list, ..Deployments::default() })
}

fn healthy_disk() -> Survey {
    let (deployments, numbered) = deployments(&[DEPLOYMENT]);
    Survey {
        mounted: Some(MountedAs { source: "/dev/vda2".into(), fstype: "ext4".into(), options: "rw,relatime".into() }),
        top_level: vec!["boot".into(), "ostree".into()],
        boot_links: vec![("/ostree/boot.0/os/c/0".into(), format!("../../../{}", &DEPLOYMENT[7..]))],
        deployments,
        numbered,
        scope: crate::facts::Scope::OnlyStateroot,
        other_names: Vec::new(),
        unread: Vec::new(),
    }
}

#[test]
fn links_out_of_step() {
    let missing = LookupError::Missing("/ostree/boot.1/os/c/0".into());
    expect![[r#"
        cannot boot: there is no boot link /ostree/boot.1/os/c/0
          asked for:    /ostree/boot.1/os/c/0 (kernel argument ostree=/ostree/boot.1/os/c/0)
          looked up:    /ostree/boot.1/os/c/0 on the physical root, mounted at /sysroot
          mounted:      /dev/vda2 on /sysroot, ext4, rw,relatime
          boot links:   /ostree/boot.0/os/c/0 -> ../../../deploy/os/deploy/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.0
          deployments:  0: /ostree/deploy/os/deploy/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.0 (origin debian:stable)
          likely cause: boot loader entries and boot links do not match: an update was interrupted, or only one of them was restored from a backup
          what to do:   in the boot menu choose another entry, or add:
                          firstroot.deployment=0
                        or in this shell:
                          /usr/lib/ostree/ostree-prepare-root --deployment 0 /sysroot
                          systemctl default
    "#]]
    .assert_eq(&report(&failure(missing.into(), Caller::Systemd), &healthy_disk()));
}

#[test]
fn nothing_mounted() {
    let cause = Cause::NotMounted("/sysroot".into());
    expect![[r#"
        cannot boot: nothing is mounted at /sysroot, where the root filesystem should be
          asked for:    /ostree/boot.1/os/c/0 (kernel argument ostree=/ostree/boot.1/os/c/0)
          looked up:    /ostree/boot.1/os/c/0 on the physical root, mounted at /sysroot
          mounted:      nothing at /sysroot
          on the disk:  no boot links and no deployments; its root directory is empty
          likely cause: the disk, not ostree: root= is missing or wrong, the disk is gone, or its driver is not in the initramfs
          what to do:   compare root= with the disks:
                          cat /proc/cmdline; blkid
                          systemctl status sysroot.mount
                        choose another entry in the boot menu, or boot a rescue system and check the disk
    "#]]
    .assert_eq(&report(&failure(cause, Caller::Systemd), &Survey::default()));
}

/// With Android's arguments `ostree=` does not count: nothing may say that it would help.
#[test]
fn a_slot_is_repaired_by_its_link() {
    for (caller, shell) in [(Caller::Systemd, true), (Caller::Script, true), (Caller::Pid1, false)] {
        let target = "../ostree/boot.1/os/c/0".to_owned();
        let mut failure = failure(LookupError::Dangling { path: "/ostree/root.a".into(), target }.into(), caller);
        failure.asked_for = Some(BootTarget {
            path: "/ostree/root.a".to_owned(),
            source: TargetSource::AndroidSlot,
            argument: "androidboot.slot_suffix=_a".to_owned(),
        });
        let mut survey = healthy_disk();
        // The first link leads to a deployment that is not there.
        survey.boot_links.insert(0, ("/ostree/boot.0/os/b/0".into(), "../../../deploy/os/deploy/gone.0".into()));
        let text = report(&failure, &survey);
        let commands =
            ["mount -o remount,rw /sysroot", "cd /sysroot/ostree", "ln -sfn deploy/os/deploy/aaaa*.0 root.a"];
        let commands: String = commands.map(|command| format!("                  {command}\n")).concat();
        assert!(text.contains(&commands) && !text.contains("ostree=") && !text.contains("deployment="), "{text}");
        assert_eq!(text.contains("  /usr/lib/ostree/ostree-prepare-root /sysroot\n"), shell, "{text}");
        survey.deployments.clear();
        survey.numbered.list.clear();
        let text = report(&failure, &survey);
        assert!(!text.contains("ln -s") && text.contains("boot a rescue system"), "{text}");
    }
    let unknown = failure(TargetError::UnknownSlot("androidboot.slot_suffix=_x".into()).into(), Caller::Systemd);
    let text = report(&unknown, &healthy_disk());
    assert!(text.contains("it must be _a or _b") && !text.contains("ostree="), "{text}");
}

/// What could not be read is not said to be missing.
#[test]
fn what_could_not_be_read_is_told() {
    let survey = Survey {
        boot_links: Vec::new(),
        deployments: Vec::new(),
        unread: vec![("/ostree/boot.0".into(), Errno::IO)],
        ..healthy_disk()
    };
    let cause = LookupError::Other { path: "/ostree/boot.1/os/c/0".into(), reason: Errno::IO };
    let text = report(&failure(cause.into(), Caller::Systemd), &survey);
    assert!(
        text.contains("unreadable:   /ostree/boot.0: Input/output error") && text.contains("the disk fails"),
        "{text}"
    );
    assert!(!text.contains("none") && !text.contains("no boot links") && !text.contains("not ostree"), "{text}");
}

/// The cures that work, for what is missing.
#[test]
fn what_a_deployment_lacks() {
    let of = |error: PlanError| {
        let cause = Cause::Plan { deployment: DEPLOYMENT.parse().unwrap(), error };
        report(&failure(cause, Caller::Systemd), &healthy_disk())
    };
    for name in ["etc", "usr/etc"] {
        let text = of(PlanError::Incomplete { name, found: "nothing" });
        assert!(text.contains("rebuild the tree with usr/etc"), "{text}");
    }
    let no_image = |at_boot_menu| of(ComposefsError::NoImage { demanded: "x".into(), at_boot_menu }.into());
    let switched_off =
        "without verification, add in the boot menu:\n                  ostree.prepare-root.composefs=no";
    assert!(no_image(AtBootMenu::SwitchOff).contains(switched_off));
    assert!(!no_image(AtBootMenu::Nothing).contains("composefs="));
    assert!(no_image(AtBootMenu::RemoveArgument).contains("remove ostree.prepare-root.composefs="));
}

/// It is not the disk: libostree would name it otherwise.
#[test]
fn deployments_of_other_names() {
    let end = "/ostree/deploy/os/deploy/1234".to_owned();
    let cause = LookupError::NotADeployment { path: "/ostree/boot.1/os/c/0".into(), end: end.clone() };
    let survey = Survey { boot_links: Vec::new(), deployments: Vec::new(), other_names: vec![end], ..healthy_disk() };
    let text = report(&failure(cause.into(), Caller::Systemd), &survey);
    assert!(
        text.contains("other names:  /ostree/deploy/os/deploy/1234 is not a deployment name of libostree"),
        "{text}"
    );
    assert!(text.contains("libostree did not make this deployment") && !text.contains("disk,"), "{text}");
    assert!(!text.contains("disk is damaged"), "{text}");
}

/// The configuration is in the initramfs: another boot link is looked up with the same one.
#[test]
fn a_configuration_is_corrected_where_it_is() {
    let path = "/etc/ostree/prepare-root.conf";
    let bad = ConfigFile { path: path.into(), bytes: b"[sysroot]\nreadonly=perhaps\n".to_vec() };
    let cause = || Cause::Configuration(prepare_root_conf::parse(Some(&bad), &[]).errors);
    for caller in [Caller::Systemd, Caller::Script] {
        let text = report(&failure(cause(), caller), &healthy_disk());
        assert!(text.contains(&format!("{path}: line 2: [sysroot] readonly = \"perhaps\"")), "{text}");
        assert!(text.contains(&format!("correct {path} in the tree and rebuild the initramfs")), "{text}");
        assert!(text.contains("  /usr/lib/firstroot/ostree-prepare-root --check-config /\n"), "{text}");
        assert!(text.contains("an older entry in the boot menu: its initramfs has the older configuration"), "{text}");
        assert!(!text.contains("firstroot.deployment=") && !text.contains("in this shell"), "{text}");
    }
    // Without an initramfs it is that of the deployment.
    let text = report(&failure(cause(), Caller::Pid1), &healthy_disk());
    assert!(text.contains("in this deployment's tree") && text.contains("firstroot.deployment=0"), "{text}");
    let plan = |error: ComposefsError| Cause::Plan { deployment: DEPLOYMENT.parse().unwrap(), error: error.into() };
    let text = report(&failure(plan(ComposefsError::BadArgument("x".into())), Caller::Systemd), &healthy_disk());
    assert!(
        text.contains("correct or remove ostree.prepare-root.composefs=") && !text.contains("firstroot.deployment="),
        "{text}"
    );
}

/// Where the kernel argument stopped it, that is what to remove; without an initramfs none is spoken of.
#[test]
fn an_argument_is_blamed_where_it_was_the_cause() {
    let of = |error: ComposefsError, caller| {
        let cause = Cause::Plan { deployment: DEPLOYMENT.parse().unwrap(), error: error.into() };
        report(&failure(cause, caller), &healthy_disk())
    };
    let transient =
        |by_argument| ComposefsError::TransientWithoutComposefs { key: "transient", off: "here".into(), by_argument };
    for caller in [Caller::Systemd, Caller::Pid1] {
        let text = of(transient(true), caller);
        assert!(text.contains("in the boot menu remove ostree.prepare-root.composefs="), "{text}");
        assert!(!text.contains("prepare-root.conf") && !text.contains("initramfs"), "{text}");
    }
    assert!(of(transient(false), Caller::Systemd).contains("rebuild the initramfs"));
    let signed = |by_argument| ComposefsError::SignedWithoutInitramfs { demanded: "x".into(), by_argument };
    let without_first_line = |text: String| text.split_once('\n').unwrap().1.to_owned();
    for error in [transient(false), signed(false), signed(true)] {
        let text = without_first_line(of(error, Caller::Pid1));
        assert!(!text.contains("rebuild") && !text.contains("this initramfs"), "{text}");
    }
}

/// What a seal is not the reason for is not said to be one.
#[test]
fn with_sealed_files_only_an_input_error_is_about_seals() {
    let of = |reason, at_boot_menu| {
        let (path, needed_by) = ("/bin/sh".to_owned(), Some("/sbin/init".to_owned()));
        let error = InitError::Unreadable { path, needed_by, reason };
        let cause = Cause::Init { deployment: DEPLOYMENT.parse().unwrap(), error, sealed: true, at_boot_menu };
        report(&failure(cause, Caller::Systemd), &healthy_disk())
    };
    let text = of(Errno::NOENT, AtBootMenu::SwitchOff);
    assert!(
        text.contains("the tree lacks a package") && !text.contains("verity") && !text.contains("--verify"),
        "{text}"
    );
    for (at_boot_menu, words) in [
        (AtBootMenu::SwitchOff, Some("add in the boot menu:\n                  ostree.prepare-root.composefs=no")),
        (AtBootMenu::RemoveArgument, Some("in the boot menu remove ostree.prepare-root.composefs=")),
        (AtBootMenu::Nothing, None),
    ] {
        let text = of(Errno::IO, at_boot_menu);
        assert!(text.contains("fs-verity is required") && text.contains("--verify /sysroot"), "{text}");
        assert!(words.map_or(!text.contains("composefs="), |words| text.contains(words)), "{text}");
    }
}

#[test]
fn no_argument_as_pid_1() {
    expect![[r#"
        cannot boot: the kernel command line has no ostree= argument
          asked for:    unknown: see the first line
          mounted:      /dev/vda2 on /sysroot, ext4, rw,relatime
          boot links:   /ostree/boot.0/os/c/0 -> ../../../deploy/os/deploy/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.0
          deployments:  0: /ostree/deploy/os/deploy/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.0 (origin debian:stable)
          likely cause: the boot loader entry was not written by ostree, or its options were changed
          what to do:   in the boot menu choose another entry, or add:
                          firstroot.deployment=0
    "#]]
    .assert_eq(&report(&failure(TargetError::Missing.into(), Caller::Pid1), &healthy_disk()));
}

/// Whatever stopped the boot, the report has a cause and something to do, and its first line names the object.
#[test]
fn every_cause_has_something_to_do() {
    let deployment = || DEPLOYMENT.parse().unwrap();
    let plan = |error| Cause::Plan { deployment: deployment(), error };
    let bad = ConfigFile { path: "/etc/ostree/prepare-root.conf".into(), bytes: b"nonsense".to_vec() };
    let overlay = SystemError {
        operation: "mount",
        object: "a filesystem of type overlay".into(),
        reason: Errno::NODEV,
        kernel: Some("overlay: said so".into()),
    };
    let too_old = SystemError {
        object: "an overlay with data-only layers (needs Linux 6.5; this is 6.1)".into(),
        reason: Errno::OPNOTSUPP,
        ..overlay.clone()
    };
    let at_boot_menu = AtBootMenu::Nothing;
    let image = |error| Cause::Image { deployment: deployment(), error: Box::new(error), at_boot_menu };
    let causes = [
        (Cause::Configuration(prepare_root_conf::parse(Some(&bad), &[]).errors), "/etc/ostree/prepare-root.conf"),
        (Cause::NotOstree("/sysroot".into()), "/sysroot"),
        (LookupError::Loop("/x".into()).into(), "/x"),
        (LookupError::Dangling { path: "/x".into(), target: "y".into() }.into(), "y"),
        (Cause::Ambiguous { missing: "/x".into(), candidates: vec![deployment()] }, DEPLOYMENT),
        (plan(PlanError::Incomplete { name: "usr", found: "nothing" }), DEPLOYMENT),
        (plan(PlanError::HotfixWithoutUpper), ".usr-ovl-upper"),
        (
            plan(
                ComposefsError::NoImage { demanded: "kernel argument x".into(), at_boot_menu: AtBootMenu::SwitchOff }
                    .into(),
            ),
            "kernel argument x",
        ),
        (
            plan(ComposefsError::WrongDigest { found: "aa".into(), signed: "bb".into() }.into()),
            "is aa, the commit has bb",
        ),
        (
            Cause::Verify {
                deployment: deployment(),
                error: Box::new(VerifyError::OtherCommit { path: "/x.commit".into(), found: "cc".into() }),
            },
            "/x.commit is damaged: its checksum is cc",
        ),
        (image(overlay.clone()), DEPLOYMENT),
        (image(too_old), "(needs Linux 6.5; this is 6.1)"),
        (Cause::Hotfix { deployment: deployment(), error: Box::new(overlay.clone()) }, "the hotfix of /usr"),
        (overlay.into(), "(kernel: overlay: said so)"),
        (
            Cause::Init {
                deployment: deployment(),
                error: InitError::Missing(vec!["/sbin/init".into()]),
                sealed: false,
                at_boot_menu,
            },
            "/sbin/init",
        ),
        (
            Cause::Init {
                deployment: deployment(),
                error: InitError::Unreadable {
                    path: "/lib64/ld.so".into(),
                    needed_by: Some("/sbin/init".into()),
                    reason: Errno::IO,
                },
                sealed: true,
                at_boot_menu,
            },
            "/lib64/ld.so, which /sbin/init needs, cannot be read: Input/output error",
        ),
        (Cause::Exec { init: "/sbin/init", reason: Errno::NOEXEC }, "/sbin/init"),
    ];
    for (cause, object) in causes {
        let text = report(&failure(cause, Caller::Script), &healthy_disk());
        assert!(text.lines().next().is_some_and(|line| line.contains(object)), "{object}: {text}");
        let filled = |label: &str| text.lines().any(|line| line.trim_start().starts_with(label) && line.len() > 24);
        assert!(filled("likely cause:") && filled("what to do:"), "{text}");
    }
}
