use super::*;
use proptest::prelude::*;

fn target(line: &str) -> Result<BootTarget, TargetError> {
    KernelCommandLine::new(line).boot_target()
}

fn path(line: &str) -> String {
    target(line).unwrap().path
}

#[test]
fn the_first_ostree_argument_wins() {
    assert_eq!(path("quiet ostree=/a root=x ostree=/b\n"), "/a");
}

#[test]
fn fedora_kinoite_as_it_stands() {
    let line = "BOOT_IMAGE=(hd0,gpt3)/boot/ostree/default-1/vmlinuz-6 root=UUID=1 rootflags=subvol=root rw \
                boot=UUID=2 ostree=/ostree/boot.0/default/1/0";
    assert_eq!(path(line), "/ostree/boot.0/default/1/0");
}

#[test]
fn quotes_protect_what_only_looks_like_ours() {
    assert_eq!(path(r#"dyndbg="x ostree=/wrong" ostree=/right"#), "/right");
    assert_eq!(path(r#"ostree="/with space""#), "/with space");
    assert_eq!(path(r#""ostree=/with space""#), "/with space");
}

#[test]
fn the_last_init_counts() {
    let init = |line: &str| KernelCommandLine::new(line).init();
    assert_eq!(init("init=/a quiet init=/bin/b rd.init=/c -- init=/d").as_deref(), Some("/bin/b"));
    assert_eq!(init("quiet initcall_debug init"), None);
}

#[test]
fn the_last_deployment_counts() {
    let deployment = |line: &str| KernelCommandLine::new(line).deployment();
    assert_eq!(deployment("firstroot.deployment=aaaa.0 ostree=/x firstroot.deployment=1").as_deref(), Some("1"));
    assert_eq!(deployment("\"firstroot.deployment=13 beta\" -- firstroot.deployment=1").as_deref(), Some("13 beta"));
    assert_eq!(deployment("firstroot.deployment= ").as_deref(), Some(""));
    assert_eq!(deployment("xfirstroot.deployment=1 firstroot.deployments=1 firstroot.deployment"), None);
}

#[test]
fn what_follows_two_dashes_is_for_init() {
    assert_eq!(target("quiet -- ostree=/x"), Err(TargetError::Missing));
    assert_eq!(path("ostree=/a -- single"), "/a");
    assert_eq!(path(r#"x="a -- b" ostree=/a"#), "/a");
    assert_eq!(path("a --b ostree=/a"), "/a");
}

#[test]
fn android_slots_win_over_ostree() {
    assert_eq!(path("ostree=/x androidboot.slot_suffix=_b"), "/ostree/root.b");
    assert_eq!(path("androidboot.slot-suffix=_a"), "/ostree/root.a");
    assert_eq!(path("androidboot.serialno=1 ostree=/x"), "/ostree/root.a");
    assert_eq!(
        target("androidboot.slot_suffix=_c"),
        Err(TargetError::UnknownSlot("androidboot.slot_suffix=_c".to_owned()))
    );
}

#[test]
fn missing_and_empty_are_told_apart() {
    assert_eq!(target(""), Err(TargetError::Missing));
    assert_eq!(target("ostreex=/a notostree=/b root=ostree=/c"), Err(TargetError::Missing));
    assert_eq!(target("ostree="), Err(TargetError::Empty("ostree=".to_owned())));
    assert_eq!(target("ostree=\"\""), Err(TargetError::Empty("ostree=\"\"".to_owned())));
    assert_eq!(target("ostree"), Err(TargetError::Empty("ostree".to_owned())));
}

#[test]
fn bytes_that_are_no_utf8_matter_only_in_our_argument() {
    let line = KernelCommandLine::new(b"x=\xff\xfe ostree=/a".to_vec());
    assert_eq!(line.boot_target().unwrap().path, "/a");
    let line = KernelCommandLine::new(b"ostree=/a\xff".to_vec());
    assert!(matches!(line.boot_target(), Err(TargetError::NotUtf8(_))));
}

#[test]
fn four_kib_of_other_arguments_before_ours() {
    let line = format!("{} ostree=/a", "x=y ".repeat(1024));
    assert_eq!(path(&line), "/a");
}

#[test]
fn a_shell_is_wanted_by_either_argument() {
    for (line, wanted) in [
        ("rd.shell", true),
        ("rd.shell=1", true),
        ("rd.break=pre-mount", true),
        ("rd.shell=0", false),
        ("", false),
        // A trial of a system that always asks for one; and a person who edits the entry of a trial.
        ("rd.shell quiet rd.shell=0 firstroot.trial", false),
        ("rd.shell=0 firstroot.trial rd.shell", true),
    ] {
        assert_eq!(KernelCommandLine::new(line).wants_shell(), wanted, "{line}");
    }
}

#[test]
fn composefs_is_found_under_either_spelling() {
    let value = |line: &str| KernelCommandLine::new(line).composefs();
    assert_eq!(value("ostree.prepare-root.composefs=verity").as_deref(), Some("verity"));
    assert_eq!(value("ostree.prepare_root.composefs=0").as_deref(), Some("0"));
    assert_eq!(value("ostree=/a"), None);
}

#[test]
fn a_boot_counts_by_a_word_of_its_own() {
    for (line, is_trial) in [
        ("quiet firstroot.trial", true),
        ("firstroot.trial -- x", true),
        ("firstroot.trials", false),
        ("x=firstroot.trial", false),
        ("\"x firstroot.trial\"", false),
        ("-- firstroot.trial", false),
    ] {
        assert_eq!(KernelCommandLine::new(line).is_trial(), is_trial, "{line}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let line = KernelCommandLine::new(bytes);
        let _ = (line.boot_target(), line.composefs(), line.wants_shell(), line.is_trial());
    }

    #[test]
    fn no_line_of_this_alphabet_panics(text in "(ostree|androidboot\\.|slot_suffix|[=\" -]|_a|/){0,30}") {
        let _ = KernelCommandLine::new(text).boot_target();
    }

    #[test]
    fn a_quoted_path_round_trips(before in "[a-z=.]{0,20}", path in "/[ -!#-~]{1,40}") {
        prop_assume!(!before.starts_with("ostree") && !before.starts_with("androidboot."));
        let found = target(&format!("{before} ostree=\"{path}\" quiet")).unwrap();
        prop_assert_eq!(found.path, path);
    }
}

#[test]
fn the_unit_that_systemd_starts() {
    for (line, unit) in [
        ("quiet", None),
        ("systemd.unit=x.target", Some("x.target")),
        ("3 systemd.unit=x@1.service", Some("x@1.service")),
        ("systemd.unit=x.target 2", Some("multi-user.target")),
        ("5", Some("graphical.target")),
        ("single 4x", Some("rescue.target")),
        ("-b", Some("emergency.target")),
        ("3=x root=3", None),
        ("systemd.unit=x -- 3", None),
        ("\"systemd.unit=x.target After=y\"", None),
    ] {
        assert_eq!(KernelCommandLine::new(line).unit().as_deref(), unit, "{line}");
    }
}
