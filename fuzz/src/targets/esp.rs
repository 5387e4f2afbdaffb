//! What is read for an ESP: `esp.conf`, boot options of a firmware, the menu of a boot loader, and entries that a boot loader or a power cut may have changed.

use esp_projection::firmware::{HardDrive, LoadOption, encode};
use esp_projection::select::{Chosen, Loader, Menu, MenuEntry, Settings as LoaderSettings, choose, hazards};
use esp_projection::settings::Settings;
use ostree_formats::bls::BlsEntry;
use ostree_formats::kargs::KernelArguments;
use ostree_formats::projected_entry::{
    DEPLOYMENT, ProjectedName, Source, TRIAL, Token, Trial, deployment_in, text, tries_in,
};

use ostree_formats::boot_attempts::{BootCount, Count, Record};
use ostree_formats::rollbacks::{Attempt, Rollback};

use super::is_printable;

/// `esp.conf`: few mistakes are told, and at no length; what is unknown enables nothing.
pub(super) fn esp_conf(bytes: &[u8]) {
    let settings = match Settings::parse(bytes, "etc/ostree/esp.conf") {
        Ok(settings) => settings,
        Err(error) => return is_printable(&error, bytes),
    };
    let told: usize = settings.warnings.iter().map(String::len).sum();
    assert!(settings.warnings.len() <= 21 && told < 20_000, "{told} bytes are told");
    assert!(settings.tries.is_none_or(|tries| tries <= 9) && settings.keep.is_none_or(|keep| keep >= 2));
    assert!(!settings.trial_arguments.contains(char::is_control));
    let off = [bytes, b"\n[esp]\nenabled=no\n"].concat();
    assert!(Settings::parse(&off, "x").is_ok_and(|settings| !settings.enabled));
}

/// `loader.conf`, and the text of an entry beside one that is good: without a setting that names another one, one of the two boots.
pub(super) fn boot_menu(bytes: &[u8]) {
    let loader = Loader::from_info(Some("systemd-boot 262"), "x64");
    let entry = |file, bytes| MenuEntry::parse(file, bytes, &loader);
    let good = entry("ostree-00000000-000001-aaaaaaaaaaaa.0.conf", b"linux /x\n".as_slice());
    let other = entry("ostree-00000000-000002-bbbbbbbbbbbb.0+0-3.conf", bytes);
    let mut settings = LoaderSettings::default();
    settings.read_loader_conf(bytes);
    assert!(settings.default.as_ref().is_none_or(|default| default.len() <= 3 * bytes.len()));
    let entries: Vec<MenuEntry> = good.into_iter().chain(other).collect();
    let menu = Menu { loader, entries, images: Vec::new(), settings };
    match choose(&menu).map(|choice| choice.chosen) {
        Some(Chosen::Entry(entry)) if entry.is_bad() => assert!(menu.settings.default.is_some()),
        Some(Chosen::Entry(_)) => {}
        Some(Chosen::Other(id)) => assert!(id.starts_with("auto-")),
        None => assert!(menu.entries.is_empty()),
    }
    assert!(hazards(&menu, &Token::from_hash([0; 4])).len() <= 3);
}

/// The value of a `Boot####`: what was read stands in it, and is read again as it was.
pub(super) fn load_option(bytes: &[u8]) {
    let Some(option) = LoadOption::parse(bytes) else { return };
    assert!(option.description.encode_utf16().count() * 2 <= bytes.len());
    assert!(option.partition.is_none_or(|uuid| bytes.windows(16).any(|window| window == uuid)));
    // A longer path has no place in an option.
    if let (Some(uuid), Some(file)) = (option.partition, option.file.as_ref().filter(|file| file.len() < 1000)) {
        let drive = HardDrive { number: 1, start: 1, size: 1, uuid };
        let again = LoadOption::parse(&encode(&option.description, &drive, file));
        assert_eq!(again, Some(LoadOption { attributes: 1, ..option.clone() }));
    }
}

/// The text of an entry, or its name before a NUL byte: what was read is written as it was read, and what is made of an entry of
/// `/boot` names its deployment once, whatever that entry has.
pub(super) fn projected_entry(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (name, rest) = (parts.next().unwrap_or_default(), parts.next());
    if let Some(Ok(name)) = rest.map(|_| str::from_utf8(name))
        && let Ok(parsed) = name.parse::<ProjectedName>()
    {
        assert_eq!(parsed.to_string().parse::<ProjectedName>().as_ref(), Ok(&parsed));
        assert!(parsed.id().len() <= name.len() && name.starts_with(parsed.token.as_str()));
    }
    let Ok(source) = str::from_utf8(rest.unwrap_or(name)) else { return };
    let _ = (deployment_in(source), tries_in(source));
    let Ok(entry) = BlsEntry::parse(source.as_bytes()) else { return };
    let deployment = format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64));
    let Ok(deployment) = deployment.parse() else { return };
    let token = Token::from_hash([0; 4]);
    for trial in [None, Some(Trial { tries: 3, arguments: "panic=30" })] {
        let made = text(&token, 7, &Source { entry: &entry, deployment: &deployment, trial });
        assert_eq!(
            (deployment_in(&made).as_ref(), tries_in(&made)),
            (Some(&deployment), trial.map(|trial| trial.tries))
        );
        let options: Vec<&str> = made.lines().filter_map(|line| line.strip_prefix("options ")).collect();
        assert_eq!(options.len(), 1);
        let arguments = KernelArguments::parse(&options.concat());
        let named = arguments.words().iter().filter(|word| word.starts_with(&format!("{DEPLOYMENT}="))).count();
        assert_eq!((named, arguments.get(DEPLOYMENT)), (1, Some(deployment.id.to_string().as_str())));
        let counts = arguments.words().iter().any(|word| word == TRIAL);
        assert!(counts || trial.is_none());
    }
}

/// The history: a line that was read is written as the same rollback, in one line.
pub(super) fn rollbacks(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        if let Ok(rollback) = line.parse::<Rollback>() {
            let written = rollback.to_string();
            assert!(!written.contains(char::is_control));
            assert_eq!(written.parse::<Rollback>(), Ok(rollback));
        }
        if let Ok(attempt) = line.parse::<Attempt>() {
            assert_eq!(attempt.to_string().parse::<Attempt>(), Ok(attempt));
        }
    }
}

/// What is read is what is written again, and nothing that is read leads out of its place.
pub(super) fn boot_attempts(bytes: &[u8]) {
    if let Ok(record) = Record::parse(bytes) {
        if let Some(boot) = &record.boot {
            assert!(!boot.uuid.contains(['/', '.']) && !boot.fstype.contains('/'), "{boot:?}");
        }
        assert_eq!(Record::parse(record.to_string().as_bytes()), Ok(record));
    }
    if let Ok(Some(count)) = Count::parse(bytes)
        && let Some(written) = count.to_bytes()
    {
        assert_eq!(Count::parse(&written), Ok(Some(count)));
    }
    if let Ok(boot) = BootCount::parse(bytes) {
        assert_eq!(BootCount::parse(boot.to_string().as_bytes()), Ok(boot));
    }
}
