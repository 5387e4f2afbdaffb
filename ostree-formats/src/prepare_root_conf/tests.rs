use super::*;
use proptest::prelude::*;

fn file(path: &str, text: &str) -> ConfigFile {
    ConfigFile { path: path.to_owned(), bytes: text.into() }
}

fn main_file(text: &str) -> Parsed {
    parse(Some(&file("/etc/ostree/prepare-root.conf", text)), &[])
}

fn drop_in(text: &str) -> Parsed {
    parse(None, &[file("/etc/ostree/prepare-root.conf.d/50-x.conf", text)])
}

fn only_error(parsed: &Parsed) -> String {
    assert_eq!(parsed.errors.len(), 1, "{:?}", parsed.errors);
    parsed.errors[0].to_string()
}

#[test]
fn no_file_means_defaults() {
    assert_eq!(parse(None, &[]), Parsed::default());
}

#[test]
fn every_key_arrives() {
    let parsed = main_file(
        "[sysroot]\nreadonly=true\n[etc]\ntransient=1\n[root]\ntransient-ro=true\n\
         [composefs]\nenabled=signed\nkeypath=/k\nkernel-argument=strengthen\nunverified-init=yes\n\
         [boot]\nmount=no\nrecover=no\non-failure=reboot\n[rollback]\ntries=3\n",
    );
    assert_eq!((&parsed.errors, &parsed.warnings), (&vec![], &vec![]));
    let expected = PrepareRootConf {
        sysroot_readonly: Some(true),
        etc_transient: true,
        root_transient: false,
        root_transient_ro: true,
        composefs: ComposefsMode::Signed,
        composefs_keypath: "/k".to_owned(),
        composefs_kernel_argument: KernelArgumentPolicy::Strengthen,
        composefs_unverified_init: true,
        boot_mount: Some(false),
        boot_recover: false,
        on_failure: Some(OnFailure::Reboot),
        tries: 3,
    };
    assert_eq!(parsed.conf, expected);
}

#[test]
fn a_bad_value_names_file_line_key_value_and_what_may_stand_there() {
    assert_eq!(
        only_error(&main_file("[sysroot]\nreadonly=yes\n")),
        r#"/etc/ostree/prepare-root.conf: line 2: [sysroot] readonly = "yes": the value must be true, false, 1 or 0"#
    );
    assert_eq!(
        only_error(&main_file("[boot]\non-failure=panic\n")),
        r#"/etc/ostree/prepare-root.conf: line 2: [boot] on-failure = "panic": the value must be emergency, reboot or poweroff"#
    );
}

#[test]
fn all_of_it_is_text() {
    let file = ConfigFile { path: "/x".to_owned(), bytes: b"# \xfc\n[sysroot]\nreadonly=true\n".to_vec() };
    assert_eq!(only_error(&parse(Some(&file), &[])), "/x: not UTF-8 text");
}

#[test]
fn all_errors_are_told_at_once() {
    assert_eq!(main_file("[sysroot]\nreadonly=x\n[etc]\ntransient=y\n").errors.len(), 2);
}

#[test]
fn both_transient_keys_exclude_each_other() {
    let error = only_error(&main_file("[root]\ntransient=true\ntransient-ro=true\n"));
    assert!(error.contains("are both true; set only one"), "{error}");
}

#[test]
fn a_key_of_libostrees_in_a_drop_in_is_an_error() {
    let error = only_error(&drop_in("[sysroot]\nreadonly=true\n"));
    assert!(error.contains("libostree") && error.contains("50-x.conf"), "{error}");
    assert_eq!(drop_in("[boot]\nmount=no\n").errors, []);
}

#[test]
fn an_unknown_name_is_a_warning_with_the_nearest_known_one() {
    for (text, warning) in [
        ("[sysroot]\nread-only=true\n", r#"line 2: unknown key "read-only" in [sysroot]; did you mean "readonly"?"#),
        ("[sysrot]\nreadonly=true\n", r#"line 1: unknown group [sysrot]; did you mean "sysroot"?"#),
        ("[etc]\nreadonly=true\n", r#"line 2: unknown key "readonly" in [etc]"#),
        ("[completely-else]\n", "line 1: unknown group [completely-else]"),
    ] {
        let parsed = main_file(text);
        assert_eq!(parsed.errors, []);
        assert_eq!(parsed.warnings, [format!("/etc/ostree/prepare-root.conf: {warning}")]);
        assert_eq!(parsed.conf, PrepareRootConf::default());
    }
}

#[test]
fn a_group_that_stands_twice_is_one_group() {
    let appended =
        main_file("[composefs]\nenabled=yes\n[sysroot]\nreadonly=true\n[sysroot]\nreadonly = true \n[composefs]\n");
    assert_eq!((&appended.errors, &appended.warnings), (&vec![], &vec![]));
    assert_eq!((appended.conf.composefs, appended.conf.sysroot_readonly), (ComposefsMode::Yes, Some(true)));
}

#[test]
fn of_two_values_the_later_counts_and_both_lines_are_named() {
    let parsed =
        main_file("[etc]\ntransient=maybe\n[sysroot]\nreadonly=false\n[etc]\ntransient=true\ntransient=true\n");
    // What does not count is not judged: libostree does not see it.
    assert_eq!(parsed.errors, []);
    assert!(parsed.conf.etc_transient);
    assert_eq!(
        parsed.warnings,
        [r#"/etc/ostree/prepare-root.conf: line 7: [etc] transient = "true" overrides "maybe" of line 2"#]
    );
}

#[test]
fn a_file_full_of_unknown_names_does_not_fill_the_console() {
    let text: String = (0..50).map(|n| format!("[g{n}]\nk=v\n[etc]\nk{n}=v\n")).collect();
    let parsed = main_file(&text);
    assert_eq!(parsed.warnings.len(), 21);
    assert!(parsed.warnings.last().unwrap().ends_with(": 80 more unknown groups and keys"));
}

#[test]
fn drop_ins_count_over_the_main_file_and_later_over_earlier() {
    let parsed = parse(
        Some(&file("main", "[boot]\nmount=no\nrecover=no\n")),
        &[file("10", "[boot]\nmount=yes\non-failure=reboot\n"), file("20", "[boot]\non-failure=poweroff\n")],
    );
    assert_eq!(parsed.conf.boot_mount, Some(true));
    assert!(!parsed.conf.boot_recover);
    assert_eq!(parsed.conf.on_failure, Some(OnFailure::Poweroff));
}

#[test]
fn drop_ins_are_ordered_by_name_and_the_administrator_masks() {
    let names =
        [(Layer::Etc, "20-b.conf"), (Layer::Usr, "10-a.conf"), (Layer::Usr, "20-b.conf"), (Layer::Usr, "README")];
    let order = drop_in_order(names.map(|(layer, name)| (layer, name.to_owned())));
    let order: Vec<_> = order.iter().map(|d| (d.layer, d.name.as_str())).collect();
    assert_eq!(order, [(Layer::Usr, "10-a.conf"), (Layer::Etc, "20-b.conf")]);
}

#[test]
fn composefs_words_are_ordered_by_strength() {
    let modes = ["no", "maybe", "yes", "verity", "signed"].map(|word| ComposefsMode::from_value(word).unwrap());
    assert!(modes.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(modes.iter().all(|mode| ComposefsMode::from_value(mode.as_str()) == Some(*mode)));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = parse(Some(&ConfigFile { path: String::new(), bytes }), &[]);
    }

    #[test]
    fn no_near_miss_panics(text in "(\\[?(sysroot|etc|boot|root)\\]?\n?|=|readonly|transient|mount|true|no|\n){0,20}") {
        let _ = main_file(&text);
    }
}
