//! What is changed, and what never is.

use std::collections::BTreeSet;

use ostree_formats::projected_entry::Token;
use proptest::prelude::*;

use super::*;
use crate::firmware::{Firmware, HardDrive, LoadOption, encode};

const OURS: u16 = 0;

fn drive() -> HardDrive {
    HardDrive { number: 1, start: 2048, size: 4096, uuid: [9; 16] }
}

fn program(content: &[u8]) -> Program {
    Program { name: "systemd-bootx64.efi".to_owned(), content: content.to_vec(), is_signed: false }
}

fn option(description: &str, file: &str) -> LoadOption {
    LoadOption::parse(&encode(description, &drive(), file)).unwrap()
}

/// GRUB is the only option, and first.
fn grub() -> Firmware {
    let options = vec![(1, option("debian", "\\EFI\\debian\\shimx64.efi"))];
    Firmware { order: vec![1], options, numbers: vec![1], current: Some(1), ..Firmware::default() }
}

fn facts() -> Facts {
    Facts {
        token: Token::from_hash([7; 4]),
        program: program(b"new"),
        drive: drive(),
        firmware: grub(),
        record: Record::default(),
        files: Vec::new(),
        directories: BTreeSet::from(["EFI".to_owned()]),
        others: Vec::new(),
        has_fallback: false,
        further: Vec::new(),
        configuration: Configuration::Missing,
        projection: vec![Step::WriteEntry { name: "x.conf".to_owned(), text: String::new() }, Step::Sync],
    }
}

fn shown(changes: &[Change]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

fn set(files: &mut Vec<(String, Found)>, path: &str, found: Found) {
    files.retain(|(other, _)| other != path);
    files.push((path.to_owned(), found));
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
}

/// What the firmware and the ESP have after these changes.
fn after(facts: &Facts, changes: &[Change]) -> Facts {
    let mut facts = facts.clone();
    for change in changes {
        match change {
            Change::Project(Step::MakeDirectory(path)) => {
                let _ = facts.directories.insert(path.clone());
            }
            Change::Project(Step::WriteEntry { .. }) => {
                let _ = facts.directories.insert(crate::target::ENTRIES.to_owned());
            }
            Change::Project(_) => {}
            Change::WriteFile { path, content } if *path == Record::path(&facts.token) => {
                facts.record = Record::parse(&String::from_utf8_lossy(content));
            }
            Change::WriteFile { path, content } => {
                let info = path.ends_with(".efi").then(|| "systemd-boot 262".to_owned());
                set(&mut facts.files, path, Found { sum: sum(content), info });
            }
            Change::RemoveFile(path) if *path == Record::path(&facts.token) => facts.record = Record::default(),
            Change::RemoveFile(path) => {
                facts.files.retain(|(other, _)| other != path);
            }
            Change::WriteConfiguration => facts.configuration = Configuration::Written,
            Change::RemoveConfiguration => facts.configuration = Configuration::Missing,
            Change::SetVariable { name, value, .. } => match name.as_str() {
                "BootNext" => facts.firmware.next = firmware::numbers(value).first().copied(),
                "BootOrder" => facts.firmware.order = firmware::numbers(value),
                name => {
                    let number = firmware::number(name).unwrap();
                    facts.firmware.options.push((number, LoadOption::parse(value).unwrap()));
                    facts.firmware.numbers.push(number);
                }
            },
            Change::RemoveVariable(name) => match name.as_str() {
                "BootNext" => facts.firmware.next = None,
                "BootOrder" => facts.firmware.order = Vec::new(),
                name => {
                    let number = firmware::number(name).unwrap();
                    facts.firmware.options.retain(|(other, _)| *other != number);
                    facts.firmware.numbers.retain(|other| *other != number);
                }
            },
        }
    }
    facts.projection = Vec::new();
    facts
}

#[test]
fn it_is_tried_once_and_grub_stays_first() {
    let facts = facts();
    let changes = install(&facts).unwrap();
    assert_eq!(
        shown(&changes),
        [
            "make the directory EFI/systemd",
            "make the directory loader",
            "write loader/ostree-07070707.installed: 371 bytes",
            "write EFI/systemd/systemd-bootx64.efi: 3 bytes",
            "write loader/loader.conf: 36 bytes",
            "write loader/entries.srel: 6 bytes",
            "write loader/entries/x.conf",
            "sync",
            "write /etc/ostree/esp.conf: enabled=yes",
            "set the EFI variable Boot0000: OSTree (systemd-boot)",
            "set the EFI variable BootNext: Boot0000, for the next boot only",
        ]
    );
    let installed = after(&facts, &changes);
    assert_eq!((installed.firmware.order.as_slice(), installed.firmware.next), (&[1][..], Some(OURS)));
    assert_eq!(install(&installed).unwrap(), []);
}

#[test]
fn a_good_boot_through_it_makes_it_the_first_and_no_other_does() {
    let installed = after(&facts(), &install(&facts()).unwrap());
    let (uuid, file) = (drive().uuid, installed.program.firmware_path());
    // It did not start, and GRUB did.
    let mut firmware = Firmware { next: None, ..installed.firmware.clone() };
    assert_eq!(confirmable(&firmware, &uuid, &file), Some(OURS));
    assert_eq!(confirm(&firmware, &uuid, &file), None);
    firmware.current = Some(OURS);
    let change = confirm(&firmware, &uuid, &file).unwrap();
    assert_eq!(
        change.to_string(),
        "set the EFI variable BootOrder: Boot0000 (OSTree (systemd-boot)), Boot0001 (debian)"
    );
    let confirmed = after(&Facts { firmware, ..installed }, &[change]);
    assert_eq!(confirmed.firmware.order, [OURS, 1]);
    assert_eq!(confirm(&confirmed.firmware, &uuid, &file), None);
    assert_eq!(install(&confirmed).unwrap(), []);
    // A person or another system has put its own first: that is not undone by a boot, but by another installation.
    let moved = Facts { firmware: Firmware { order: vec![1, OURS], ..confirmed.firmware.clone() }, ..confirmed };
    assert_eq!(confirm(&moved.firmware, &uuid, &file), None);
    let again = after(&moved, &install(&moved).unwrap());
    assert_eq!((again.firmware.order.as_slice(), again.firmware.next), (&[1][..], Some(OURS)));
    // On another disk the same file is another system's.
    assert_eq!(confirmable(&again.firmware, &[8; 16], &file), None);
}

#[test]
fn nothing_of_others_is_replaced() {
    let path = program(b"").path();
    let found = |info: Option<&str>| Found { sum: sum(b"old"), info: info.map(str::to_owned) };
    let with = |found| Facts { files: vec![(path.clone(), found)], ..facts() };
    assert_eq!(install(&with(found(None))), Err(Refusal::Foreign(path.clone())));
    let written = |facts: &Facts| {
        let changes = install(facts).unwrap();
        changes.iter().any(|change| matches!(change, Change::WriteFile { path: file, .. } if *file == path))
    };
    // bootctl's.
    assert!(!written(&with(found(Some("systemd-boot 254")))));
    // Ours, by an older tree.
    let mut ours = with(found(Some("systemd-boot 254")));
    ours.record.add(&path, &sum(b"old"));
    assert!(written(&ours));
    let mut settings = facts();
    set(&mut settings.files, LOADER_CONF, found(None));
    settings.directories.insert(crate::target::ENTRIES.to_owned());
    let shown = shown(&install(&settings).unwrap()).join("\n");
    assert!(!shown.contains("loader.conf") && !shown.contains("entries.srel"), "{shown}");
}

#[test]
fn what_would_not_start_is_refused() {
    let secure = || Firmware { is_secure: true, ..grub() };
    let refused = Facts { firmware: secure(), ..facts() };
    assert_eq!(install(&refused), Err(Refusal::NotSigned("systemd-bootx64.efi".to_owned())));
    let signed = Facts { program: Program { is_signed: true, ..program(b"x") }, ..refused };
    assert!(install(&signed).is_ok());
    let off = Facts { configuration: Configuration::Off("etc/ostree/esp.conf".to_owned()), ..facts() };
    assert!(matches!(install(&off), Err(Refusal::SwitchedOff(_))));
    let full = Facts { firmware: Firmware { numbers: (0..=u16::MAX).collect(), ..grub() }, ..facts() };
    assert_eq!(install(&full), Err(Refusal::NoNumber));
}

#[test]
fn uninstalling_brings_back_what_was() {
    let before = facts();
    let installed = after(&before, &install(&before).unwrap());
    let entries = [Step::RemoveEntry("x.conf".to_owned()), Step::Sync];
    let removal = uninstall(&installed, &entries, false).unwrap();
    assert_eq!(
        shown(&removal.changes),
        [
            "remove the EFI variable BootNext",
            "remove the EFI variable Boot0000",
            "remove /etc/ostree/esp.conf",
            "remove loader/entries/x.conf",
            "sync",
            "remove EFI/systemd/systemd-bootx64.efi",
            "remove loader/loader.conf",
            "remove loader/entries.srel",
            "remove loader/ostree-07070707.installed",
        ]
    );
    let gone = after(&installed, &removal.changes);
    assert_eq!((&gone.firmware, &gone.files), (&before.firmware, &before.files));
    assert_eq!(gone.configuration, Configuration::Missing);
    assert_eq!(uninstall(&gone, &[], false).unwrap(), Removal::default());
}

#[test]
fn uninstalling_leaves_what_others_need_and_never_a_machine_that_boots_nothing() {
    let installed = after(&facts(), &install(&facts()).unwrap());
    let shared = Facts { others: vec!["loader/entries/arch.conf".to_owned()], ..installed.clone() };
    let removal = uninstall(&shared, &[], false).unwrap();
    assert!(!removal.changes.iter().any(|change| matches!(change, Change::RemoveFile(_))));
    assert!(removal.left[0].contains("loader/entries/arch.conf"), "{:?}", removal.left);
    // A person has changed it.
    let mut changed = installed.clone();
    set(&mut changed.files, LOADER_CONF, Found { sum: sum(b"timeout 9\n"), info: None });
    let removal = uninstall(&changed, &[], false).unwrap();
    assert!(!removal.changes.contains(&Change::RemoveFile(LOADER_CONF.to_owned())));
    let alone = Facts { firmware: Firmware { order: vec![OURS], ..installed.firmware.clone() }, ..installed.clone() };
    assert_eq!(uninstall(&alone, &[], false), Err(NotRemoved::NothingElse));
    // The same boot loader on a further ESP has nothing to boot afterwards.
    let mut other = alone.clone();
    let drive = HardDrive { uuid: [8; 16], ..drive() };
    other.firmware.order.push(8);
    for file in [alone.program.firmware_path().as_str(), "\\EFI\\BOOT\\BOOTX64.EFI"] {
        let option = LoadOption::parse(&encode("Linux Boot Manager", &drive, file)).unwrap();
        other.firmware.options.retain(|(number, _)| *number != 8);
        other.firmware.options.push((8, option));
        assert!(uninstall(&other, &[], false).is_ok());
        let further = Facts { further: vec![[8; 16]], ..other.clone() };
        assert_eq!(uninstall(&further, &[], false), Err(NotRemoved::NothingElse));
    }
    // What every firmware has, and what boots only with a file for it.
    let mut network = alone.clone();
    network.firmware.order.push(9);
    network.firmware.options.push((9, LoadOption { attributes: 1, ..LoadOption::default() }));
    assert_eq!(uninstall(&network, &[], false), Err(NotRemoved::NothingElse));
    assert!(uninstall(&Facts { has_fallback: true, ..network }, &[], false).is_ok());
    let changes = uninstall(&alone, &[], true).unwrap().changes;
    assert!(changes.contains(&Change::RemoveVariable("BootOrder".to_owned())));
    let on = Facts { configuration: Configuration::On("etc/ostree/esp.conf".to_owned()), ..installed };
    assert!(matches!(uninstall(&on, &[], false), Err(NotRemoved::SwitchedOn(_))));
}

proptest! {
    /// Cut after any of its changes, the old order boots, and a second run ends where the first one would have.
    #[test]
    fn an_installation_that_was_cut_is_repeated(cut in 0usize..12, has_entries: bool, has_conf: bool) {
        let mut start = facts();
        if has_entries {
            start.directories.insert(crate::target::ENTRIES.to_owned());
        }
        if has_conf {
            set(&mut start.files, LOADER_CONF, Found { sum: sum(b""), info: None });
        }
        let changes = install(&start).unwrap();
        let whole = after(&start, &changes);
        let cut = cut.min(changes.len());
        let mut half = after(&start, &changes[..cut]);
        prop_assert_eq!(half.firmware.order.as_slice(), &[1][..]);
        // What has not been projected still must be.
        half.projection = if half.directories.contains(crate::target::ENTRIES) && !has_entries { Vec::new() } else { start.projection.clone() };
        let again = after(&half, &install(&half).unwrap());
        prop_assert_eq!(again.firmware, whole.firmware);
        prop_assert_eq!(again.files, whole.files);
        prop_assert_eq!(again.record, whole.record);
        prop_assert_eq!(again.configuration, whole.configuration);
    }

    /// Cut after any of its changes, the firmware names nothing that is gone, and a second run ends where the first one would have.
    #[test]
    fn a_removal_that_was_cut_is_repeated(cut in 0usize..12, confirmed: bool) {
        let mut installed = after(&facts(), &install(&facts()).unwrap());
        if confirmed {
            installed.firmware.order.insert(0, OURS);
        }
        let changes = uninstall(&installed, &[], false).unwrap().changes;
        let whole = after(&installed, &changes);
        let half = after(&installed, &changes[..cut.min(changes.len())]);
        prop_assert!(half.firmware.order.iter().chain(&half.firmware.next).all(|number| half.firmware.option(*number).is_some()));
        let again = after(&half, &uninstall(&half, &[], false).unwrap().changes);
        prop_assert_eq!((again.firmware, again.files, again.record), (whole.firmware, whole.files, whole.record));
    }
}
