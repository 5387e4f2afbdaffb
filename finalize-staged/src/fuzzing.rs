//! Properties of this crate's parsers that hold for all bytes. Not in the shipped program.

use std::collections::BTreeSet;

use boot_list::plan::foreign::{self, Kept};
use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::{DeploymentId, DeploymentPath};
use ostree_sysroot::boot_loader;
use ostree_sysroot::boot_names::{is_kernel_directory, is_prepared, prepared};
use ostree_sysroot::compared_files::ComparedFiles;
use ostree_sysroot::foreign_file::{ForeignEntry, ForeignFile, LoaderPath};
use ostree_sysroot::sysroot::deployments_in;
use serde::Serialize;
use serde::de::DeserializeOwned;
use system::dir::Kind;

use crate::etc_merge::before;
use crate::execute::failure_stamp;
use crate::policy::modules;
use crate::policy::settings::{OnFailure, Settings};
use crate::program::PROGRAM;
use crate::read::run_directory::ResumeRecord;
use crate::read::unit_drop_ins::{self, UnitFile};
use crate::tell::disk_activity;

/// The record of `/etc` before the merge: written again it has the same bytes, and no path leaves `/etc`.
pub fn etc_before(bytes: &[u8]) {
    let Some(list) = before::from_bytes(bytes) else { return };
    assert_eq!(before::to_bytes(&list), bytes);
    assert!(before::not_saved(&list) <= list.len());
    for path in before::paths(&list) {
        let relative = path.relative().to_string_lossy().into_owned();
        assert!(relative == "." || relative.split('/').all(|name| !matches!(name, "" | "." | "..")));
        assert!(!path.to_string().contains(char::is_control));
    }
}

/// The records in `/run/ostree`: a record that was read can be written and read again, unchanged.
pub fn records(bytes: &[u8]) {
    is_written_as_read::<ResumeRecord>(bytes);
    is_written_as_read::<ComparedFiles>(bytes);
    if let Ok(record) = serde_json::from_slice::<ResumeRecord>(bytes) {
        let deployments = deployments_in(&record.before);
        assert!(deployments.iter().all(|path| record.before.contains(&path.to_string())));
    }
}

fn is_written_as_read<T: Serialize + DeserializeOwned + PartialEq>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&value).unwrap_or_default();
    assert!(serde_json::from_slice::<T>(&written).is_ok_and(|again| again == value));
}

/// The stamp in `/boot`: it contains the deployment that is read from it.
pub fn stamp(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(target) = failure_stamp::target(&text) {
        assert!(text.contains(&target.to_string()));
    }
}

/// bootupd's state, and `/etc/selinux/config`.
pub fn boot_and_policy(bytes: &[u8]) {
    let _ = boot_loader::says_static_configs(bytes);
    let text = String::from_utf8_lossy(bytes);
    let config = selinux_policy::Config::parse(&text);
    if let Some(name) = config.policy {
        assert!(name.trim() == name && text.contains(name));
    }
    if let Some(name) = config.directory() {
        assert!(name != ".." && !name.contains('/'));
    }
    for name in modules::named_in(&text) {
        assert!(text.contains(&name) && !name.contains(['/', '\n']));
    }
}

/// `finalize-staged.conf`: few mistakes are told, and at no length.
pub fn finalize_staged_conf(bytes: &[u8]) {
    let settings = Settings::parse(bytes, "etc/ostree/finalize-staged.conf");
    let told: usize = settings.warnings.iter().map(String::len).sum();
    assert!(settings.warnings.len() <= 21 && told < 20_000, "{told} bytes are told");
    assert!(settings.warnings.iter().all(|warning| warning.starts_with("/etc/ostree/finalize-staged.conf")));
    assert!(settings.refresh_timeout.is_none_or(|time| time.as_secs() <= 3600));
    let fails = [bytes, b"\n[selinux]\non-refresh-failure=fail\n"].concat();
    if Settings::parse(&fails, "x").warnings.iter().all(|warning| !warning.ends_with("the defaults count")) {
        assert_eq!(Settings::parse(&fails, "x").on_refresh_failure, OnFailure::Fail);
    }
}

/// Units and drop-ins, NUL bytes between them. A last drop-in that sets everything again makes all files before it irrelevant.
pub fn unit_drop_ins(bytes: &[u8]) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let file = |(number, bytes)| UnitFile { path: format!("/{number:02}.conf"), text: text(bytes) };
    // As many as a unit may have, but not one for each byte.
    let mut files: Vec<UnitFile> = (0..).zip(bytes.splitn(20, |byte| *byte == 0)).map(file).collect();
    for (unit, key) in unit_drop_ins::UNITS {
        let findings = unit_drop_ins::findings(unit, key, &files);
        let told: usize = findings.iter().map(String::len).sum();
        assert!(told <= 64 * bytes.len() + 1000, "{told} bytes are told");
    }
    files.push(UnitFile { path: "/last.conf".to_owned(), text: String::new() });
    for (unit, key) in unit_drop_ins::UNITS {
        if let Some(last) = files.last_mut() {
            last.text = format!("[Service]\n{key}=\n{key}=/usr/lib/firstroot/{}\n", PROGRAM);
        }
        let findings = unit_drop_ins::findings(unit, key, &files);
        assert!(!findings.iter().any(|finding| finding.starts_with("no drop-in")), "{findings:?}");
    }
}

/// The name of a directory in `/boot/ostree`.
pub fn directory_name(text: &str) {
    if is_kernel_directory(text) {
        assert!(!is_prepared(text) && is_prepared(&prepared(text)));
    }
}

/// A mount table: a found mount is one of its lines.
pub fn mount_table(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for place in ["/sysroot", "/boot"] {
        if let Some((numbers, source)) = disk_activity::mounted_at(&text, place) {
            assert!(text.lines().any(|line| line.contains(numbers) && line.contains(source)));
        }
    }
}

/// An entry that libostree did not write. It is unchanged while its boot link stays; with another boot link, only that changes.
pub fn foreign_entry(bytes: &[u8]) {
    let mut entry = ForeignEntry::of(bytes.to_vec());
    entry.add_names_in(bytes);
    let Some(link) = entry.bootlink() else { return };
    let deployment = DeploymentPath {
        stateroot: link.stateroot.clone(),
        id: DeploymentId { commit: checksum_of(&link), deployserial: 0 },
    };
    entry.leads_to = Some((link.clone(), deployment));
    let path = LoaderPath::entry(b"foreign.conf".to_vec());
    let foreign = [ForeignFile { path, kind: Kind::File, entry: Some(entry) }];
    let fate = |new: Option<Bootlink>| foreign::decide(&foreign, |_| new.clone(), |_| false);
    assert!(matches!(fate(Some(link.clone())).kept.as_slice(), [Kept::AsItIs { .. }]));
    assert_eq!(fate(None).dropped.len(), 1);
    let new = link.under_other_bootversion();
    let fate = fate(Some(new.clone()));
    let [Kept::Relinked { content, .. }] = fate.kept.as_slice() else { unreachable!("not relinked: {fate:?}") };
    assert_eq!(content.len(), bytes.len());
    // Invalid bytes become a replacement character, which no name on the disk has.
    if std::str::from_utf8(bytes).is_ok() {
        assert_eq!(ForeignEntry::of(content.clone()).bootlink(), Some(new));
    }
}

fn checksum_of(link: &Bootlink) -> ostree_formats::deployment::Checksum {
    let text = link.bootcsum.as_str().parse();
    text.unwrap_or_else(|_| unreachable!("a bootcsum is a checksum"))
}

/// The names in `/boot/ostree` that entries of others use: none contains a separator.
pub fn names_in_boot(bytes: &[u8]) {
    let mut entry = ForeignEntry::of(bytes.to_vec());
    entry.add_names_in(bytes);
    let names: BTreeSet<String> = entry.names.iter().cloned().collect();
    let separates = |character: char| character.is_whitespace() || matches!(character, '"' | '\'');
    assert!(names.iter().all(|name| !name.contains(separates) && name.matches('/').count() <= 1));
}
