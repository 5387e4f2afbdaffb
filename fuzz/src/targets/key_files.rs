//! Key files: `prepare-root.conf`, the repository's `config`, origins.

use std::collections::BTreeSet;

use ostree_formats::bls::{BlsEntry, check_field};
use ostree_formats::keyfile::{Keyfile, boolean, string_list};
use ostree_formats::prepare_root_conf::{self, ConfigFile, Layer};
use ostree_formats::repo_config::{self, RepoConfig};
use ostree_formats::{origin, prepare_root_conf::drop_in_order};

use super::is_printable;

/// Any key file: written again it is the same, and the last of two values counts.
pub(super) fn key_file(bytes: &[u8]) {
    let keyfile = match Keyfile::parse(bytes) {
        Ok(keyfile) => keyfile,
        Err(error) => return is_printable(&error, bytes),
    };
    let mut written = Vec::new();
    for group in &keyfile.groups {
        written.extend([b"[", group.name, b"]\n"].concat());
        for entry in &group.entries {
            written.extend([entry.key, b"=", entry.value, b"\r\n"].concat());
        }
    }
    let again = Keyfile::parse(&written).unwrap_or_else(|error| unreachable!("what was written is not read: {error}"));
    assert_eq!(again.groups.len(), keyfile.groups.len());
    for (one, other) in keyfile.groups.iter().zip(&again.groups) {
        assert_eq!(one.name, other.name);
        let pairs = |of: &ostree_formats::keyfile::Group<'_>| -> Vec<(Vec<u8>, Vec<u8>)> {
            of.entries.iter().map(|entry| (entry.key.to_vec(), entry.value.to_vec())).collect()
        };
        assert_eq!(pairs(one), pairs(other));
    }
    let Some(last) = keyfile.groups.iter().rev().find_map(|group| Some((group, group.entries.last()?))) else { return };
    if let (Ok(group), Ok(key)) = (std::str::from_utf8(last.0.name), std::str::from_utf8(last.1.key)) {
        assert_eq!(keyfile.get(group, key).map(|entry| entry.value), Some(last.1.value));
    }
    if let Ok(value) = last.1.text() {
        is_a_list(value);
        assert_eq!(boolean(value), boolean(value.trim_end()));
    }
}

/// A list, written again, is the same list.
fn is_a_list(value: &str) {
    let Some(list) = string_list(value) else { return };
    let escape = |item: &String| item.replace('\\', "\\\\").replace(';', "\\;").replace('\r', "\\r") + ";";
    assert_eq!(string_list(&list.iter().map(escape).collect::<String>()), Some(list));
}

/// The main file and its drop-ins, apart by NUL bytes. What is told is short, and names its file.
pub(super) fn prepare_root_conf(bytes: &[u8]) {
    let file = |(number, bytes): (usize, &[u8])| ConfigFile { path: format!("/{number}.conf"), bytes: bytes.to_vec() };
    // Not so many that they are told of at length.
    let mut files = (0..).zip(bytes.splitn(4, |byte| *byte == 0)).map(file);
    let (main, drop_ins) = (files.next(), files.collect::<Vec<_>>());
    let parsed = prepare_root_conf::parse(main.as_ref(), &drop_ins);
    let errors: Vec<String> = parsed.errors.iter().map(ToString::to_string).collect();
    for message in errors.iter().chain(&parsed.warnings) {
        is_printable(message, b"");
        assert!(message.starts_with('/'), "{message}");
    }
    let told: usize = errors.iter().chain(&parsed.warnings).map(String::len).sum();
    assert!(told < 20_000, "{told} bytes are told");
    if parsed.errors.is_empty() {
        assert!(parsed.conf.composefs_keypath.starts_with('/'));
        assert!(!(parsed.conf.root_transient && parsed.conf.root_transient_ro));
    }
    assert!(serde_json::to_string(&parsed.conf).is_ok());
    let drop_ins =
        [drop_ins, vec![ConfigFile { path: "/empty.conf".to_owned(), bytes: b"# nothing\n".to_vec() }]].concat();
    assert_eq!(prepare_root_conf::parse(main.as_ref(), &drop_ins), parsed);

    let names = bytes.split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    let found = names.zip([Layer::Usr, Layer::Etc, Layer::Etc].into_iter().cycle()).map(|(name, layer)| (layer, name));
    let order = drop_in_order(found);
    assert!(order.is_sorted_by(|one, other| one.name < other.name));
}

/// `ostree/repo/config`: what it adds to entries can be a field of one.
pub(super) fn repo_config(bytes: &[u8]) {
    if let Err(error) = repo_config::sysroot_readonly(bytes) {
        is_printable(&error, bytes);
    }
    let is_bare = repo_config::is_bare(bytes);
    match RepoConfig::parse(bytes) {
        Ok(config) => {
            assert!(is_bare.is_ok() && config.boot_counting_tries <= 5);
            let fields = &config.bls_append_except_default;
            assert!(fields.iter().all(|(key, value)| check_field(key, value).is_ok()));
            assert_eq!(fields.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len(), fields.len());
            let mut entry = BlsEntry::default();
            let set: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            entry.set_all(&set);
            entry.set_all(&set);
            assert_eq!(entry.to_text().lines().count(), fields.len());
            let again = format!("[sysroot]\nbootloader={}\n", config.bootloader);
            assert!(RepoConfig::parse(again.as_bytes()).is_ok_and(|again| again.bootloader == config.bootloader));
        }
        Err(error) => is_printable(&error, bytes),
    }
}

/// An origin: of one that is damaged nothing is told.
pub(super) fn origin(bytes: &[u8]) {
    let followed = origin::followed(bytes);
    assert!(followed.is_none() || Keyfile::parse(bytes).is_ok());
    if let Err(error) = origin::is_pinned(bytes) {
        is_printable(&error, bytes);
    }
    let pinned = [bytes, b"\n[libostree-transient]\npinned=true\n"].concat();
    assert_eq!(origin::is_pinned(&pinned).is_ok(), Keyfile::parse(bytes).is_ok());
    assert!(origin::is_pinned(&pinned).unwrap_or(true));
}
