//! What boots next: cases, and what has to be true of all.

use ostree_formats::projected_entry::Token;
use proptest::prelude::*;

use super::*;

const GOOD: &str = "ostree-07070707-000001-aaaaaaaaaaaa.0.conf";
const TRIED: &str = "ostree-07070707-000002-bbbbbbbbbbbb.0+2-1.conf";
const BAD: &str = "ostree-07070707-000002-bbbbbbbbbbbb.0+0-3.conf";
const BAD_ID: &str = "ostree-07070707-000002-bbbbbbbbbbbb.0.conf";
const OTHER: &str = "arch.conf";

fn token() -> Token {
    Token::from_hash([7; 4])
}

/// Entries as `firstroot` writes them, and another system's, whose sort key comes before.
fn menu(info: &str, files: &[&str], settings: Settings) -> Menu {
    let loader = Loader::from_info(Some(info), "x64");
    let entry = |file: &&str| {
        let text = match file.parse::<ostree_formats::projected_entry::ProjectedName>() {
            Ok(name) => format!("sort-key ostree-07070707\nversion {:06}\nlinux /x\n", name.order),
            Err(_) => "sort-key arch\nversion 6.1\nlinux /y\n".to_owned(),
        };
        MenuEntry::parse(file, text.as_bytes(), &loader).unwrap()
    };
    let entries = files.iter().map(entry).collect();
    Menu { loader, entries, images: Vec::new(), settings }
}

fn boots(menu: &Menu) -> String {
    match choose(menu) {
        Some(Choice { chosen: Chosen::Entry(entry), why, .. }) => format!("{}: {why}", entry.file),
        Some(Choice { chosen: Chosen::Other(id), why, .. }) => format!("{id} (other): {why}"),
        None => "nothing".to_owned(),
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn what_boots_is_what_systemd_boot_boots() {
    let none = Settings::default;
    let default = |text| Settings { default: some(text), ..none() };
    let cases = [
        ("262", vec![GOOD, TRIED], none(), format!("{TRIED}: it is the first entry of the menu")),
        // Seen with 262: what is bad is last.
        ("262", vec![GOOD, BAD], none(), format!("{GOOD}: it is the first entry of the menu")),
        ("262", vec![BAD], none(), format!("{BAD}: it is the first entry of the menu")),
        ("262", vec![GOOD, OTHER], none(), format!("{OTHER}: it is the first entry of the menu")),
        // Seen with 257: a pattern finds the first that is not bad, behind another system's.
        (
            "257.9",
            vec![GOOD, BAD, OTHER],
            default("ostree-07070707-*"),
            format!("{GOOD}: loader.conf has default ostree-07070707-*"),
        ),
        // Seen with 262: an exact id boots what is bad.
        ("262", vec![GOOD, BAD], default(BAD_ID), format!("{BAD}: loader.conf has default {BAD_ID}")),
        // With the counter in the id, it is not found.
        ("252.39", vec![GOOD, BAD], default(BAD_ID), format!("{GOOD}: it is the first entry of the menu")),
        (
            "252.39",
            vec![GOOD, TRIED],
            default("OSTREE-07070707-000002*"),
            format!("{TRIED}: loader.conf has default ostree-07070707-000002*"),
        ),
        (
            "262",
            vec![GOOD, BAD],
            Settings { preferred: some(BAD_ID), ..none() },
            format!("{GOOD}: it is the first entry of the menu"),
        ),
        (
            "262",
            vec![GOOD, TRIED],
            Settings { preferred_variable: some(GOOD), default_variable: some(BAD_ID), ..none() },
            format!("{GOOD}: the EFI variable LoaderEntryPreferred is {GOOD}"),
        ),
        // It does not know what is preferred.
        (
            "259",
            vec![GOOD, TRIED],
            Settings { preferred: some(GOOD), ..none() },
            format!("{TRIED}: it is the first entry of the menu"),
        ),
        (
            "262",
            vec![GOOD, TRIED],
            Settings { one_shot: some(GOOD), default: some("ostree-*"), ..none() },
            format!("{GOOD}: the EFI variable LoaderEntryOneShot names {GOOD}, for one boot"),
        ),
        (
            "262",
            vec![GOOD, TRIED],
            Settings { default_variable: some("@saved"), last_booted: some(GOOD), default: some("ostree-*"), ..none() },
            format!("{GOOD}: @saved is set, and {GOOD} was booted last"),
        ),
        ("262", vec![GOOD, TRIED], default("@saved"), format!("{TRIED}: it is the first entry of the menu")),
        (
            "262",
            vec![GOOD],
            default("auto-windows"),
            "auto-windows (other): loader.conf has default auto-windows".to_owned(),
        ),
        ("262", vec![GOOD], default("gone.conf"), format!("{GOOD}: it is the first entry of the menu")),
        ("262", vec![], none(), "nothing".to_owned()),
    ];
    for (version, files, settings, expected) in cases {
        let menu = menu(&format!("systemd-boot {version}"), &files, settings.clone());
        assert_eq!(boots(&menu), expected, "{version} {files:?} {settings:?}");
    }
}

#[test]
fn an_image_may_come_first_and_that_is_said() {
    let mut menu = menu("systemd-boot 262", &[GOOD], Settings::default());
    menu.images = vec!["fedora-6.1.efi".to_owned()];
    assert!(choose(&menu).unwrap().may_be_an_image);
    menu.settings.default = some("ostree-07070707-*");
    assert!(!choose(&menu).unwrap().may_be_an_image);
    menu.settings.default = some("fedora-*");
    assert_eq!(boots(&menu), "fedora-6.1.efi (other): loader.conf has default fedora-*");
}

#[test]
fn a_setting_that_defeats_the_rollback_is_found() {
    let none = Settings::default;
    let saved = |saved: &str| Settings { default: some("@saved"), last_booted: some(saved), ..none() };
    let cases = [
        (vec![GOOD, TRIED], none(), vec![]),
        (vec![GOOD, TRIED], Settings { default: some("ostree-07070707-*"), ..none() }, vec![]),
        (vec![GOOD, OTHER], Settings { default: some("ostree-07070707-*"), ..none() }, vec![]),
        (vec![GOOD], none(), vec![]),
        (vec![GOOD, OTHER], none(), vec![Hazard::AnotherBoots(Why::First)]),
        (
            vec![GOOD, BAD],
            Settings { default_variable: some(BAD_ID), ..none() },
            vec![
                Hazard::BadIsBooted(Why::DefaultVariable(BAD_ID.to_owned())),
                Hazard::UpdateIsNotBooted(Why::DefaultVariable(BAD_ID.to_owned())),
            ],
        ),
        (
            vec![GOOD, TRIED],
            saved(BAD_ID),
            vec![
                Hazard::BadIsBooted(Why::Saved(BAD_ID.to_owned())),
                Hazard::UpdateIsNotBooted(Why::Saved(BAD_ID.to_owned())),
            ],
        ),
        // It skips what is bad, but the next update would not be booted.
        (
            vec![GOOD, TRIED],
            Settings { preferred: some(GOOD), ..none() },
            vec![Hazard::UpdateIsNotBooted(Why::Preferred(GOOD.to_owned()))],
        ),
        // One boot only.
        (vec![GOOD, TRIED], Settings { one_shot: some(GOOD), ..none() }, vec![]),
        (vec![GOOD], Settings { default: some("gone.conf"), ..none() }, vec![]),
    ];
    for (files, settings, expected) in cases {
        let menu = menu("systemd-boot 262", &files, settings.clone());
        assert_eq!(hazards(&menu, &token()), expected, "{files:?} {settings:?}");
    }
}

#[test]
fn garbage_in_place_of_loader_conf_is_no_setting() {
    let mut settings = Settings::default();
    let garbage: Vec<u8> = (0..1u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
    settings.read_loader_conf(&garbage);
    assert_eq!(settings, Settings::default());
    settings.read_loader_conf(b"default @other\ndefault a\ntimeout 3\ndefault b*\npreferred @SAVED\n");
    assert_eq!((settings.default.as_deref(), settings.preferred.as_deref()), (Some("b*"), Some("@SAVED")));
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prop_oneof![
        Just("ostree-07070707-*".to_owned()),
        Just("@saved".to_owned()),
        Just(BAD_ID.to_owned()),
        Just(GOOD.to_owned()),
        "[a-z*?.-]{0,8}",
    ])
}

proptest! {
    #[test]
    fn without_a_setting_nothing_bad_is_booted_before_something_good(files in proptest::sample::subsequence(vec![GOOD, BAD, TRIED, OTHER], 0..=4), version in 240u32..270) {
        let menu = menu(&format!("systemd-boot {version}"), &files, Settings::default());
        let bad = menu.entries.iter().all(MenuEntry::is_bad);
        match choose(&menu) {
            Some(Choice { chosen: Chosen::Entry(entry), why, .. }) => prop_assert!(why == Why::First && (bad || !entry.is_bad())),
            other => prop_assert!(other.is_none() && files.is_empty()),
        }
    }

    #[test]
    fn what_is_preferred_is_never_bad(preferred in text(), variable in text(), last in text()) {
        let settings = Settings { preferred, preferred_variable: variable, last_booted: last, ..Settings::default() };
        let menu = menu("systemd-boot 262", &[GOOD, BAD, OTHER], settings);
        if let Some(Choice { chosen: Chosen::Entry(entry), .. }) = choose(&menu) {
            prop_assert!(!entry.is_bad());
        }
        let _ = hazards(&menu, &token());
    }

    #[test]
    fn with_the_pattern_of_install_nothing_defeats_the_rollback(version in 250u32..270, preferred in proptest::option::of(Just("ostree-07070707-*".to_owned())), files in proptest::sample::subsequence(vec![GOOD, TRIED, OTHER], 1..=3)) {
        prop_assume!(files.iter().any(|file| *file != OTHER));
        let settings = Settings { default: some("ostree-07070707-*"), preferred, ..Settings::default() };
        let menu = menu(&format!("systemd-boot {version}"), &files, settings);
        prop_assert_eq!(hazards(&menu, &token()), vec![]);
    }
}
