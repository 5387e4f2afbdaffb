//! An entry of the menu, and the place that it has there.

use std::cmp::Ordering;

use ostree_formats::entry_name::Tries;

use super::lines::pairs;
use super::loader::Loader;
use super::version;

const SUFFIX: &str = ".conf";

/// An entry that systemd-boot shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MenuEntry {
    /// The name of its file.
    pub file: String,
    /// What settings call it: lower case.
    pub id: String,
    /// The program or kernel that it starts, as a path with slashes.
    pub starts: String,
    /// As in its file.
    pub title: Option<String>,
    /// As in its file.
    pub sort_key: Option<String>,
    /// As in its file.
    pub machine_id: Option<String>,
    /// As in its file.
    pub version: Option<String>,
    /// Its counters; `None`: it does not count.
    pub tries: Option<Tries>,
}

impl MenuEntry {
    /// Reads the file with this name. `None`: it is no entry, or not one for this machine.
    pub fn parse(file: &str, bytes: &[u8], loader: &Loader) -> Option<Self> {
        let lower = file.to_ascii_lowercase();
        if file.starts_with('.') || lower.starts_with("auto-") || !lower.ends_with(SUFFIX) {
            return None;
        }
        let tries = tries_of(&lower);
        let mut entry = Self { file: file.to_owned(), ..Self::default() };
        entry.count(tries, loader);
        let mut kind = None;
        for (key, value) in pairs(bytes) {
            match key.as_str() {
                "title" => entry.title = Some(value),
                "sort-key" => entry.sort_key = Some(value),
                "machine-id" => entry.machine_id = Some(value),
                "version" => entry.version = Some(value),
                "architecture" if !value.eq_ignore_ascii_case(&loader.architecture) => return None,
                "uki" if !loader.knows_ukis() => {}
                "linux" | "efi" | "uki" => {
                    // It can start one kind of thing only.
                    if kind.as_ref().is_some_and(|kind| *kind != key) {
                        return None;
                    }
                    entry.starts = value.replace('\\', "/").trim_start_matches('/').to_owned();
                    kind = Some(key);
                }
                _ => {}
            }
        }
        kind.map(|_| entry)
    }

    /// Gives it these counters, and the id that follows.
    pub fn count(&mut self, tries: Option<Tries>, loader: &Loader) {
        let (stem, suffix) = split(&self.file);
        self.id = match &tries {
            Some(Tries { left, done }) if loader.has_counters_in_ids() => {
                let done = done.map(|done| format!("-{done}")).unwrap_or_default();
                format!("{stem}+{left}{done}{suffix}")
            }
            _ => format!("{stem}{suffix}"),
        }
        .to_ascii_lowercase();
        self.tries = tries;
    }

    /// Whether it was tried as often as it may be.
    pub fn is_bad(&self) -> bool {
        self.tries.as_ref().is_some_and(|tries| tries.left == 0)
    }
}

/// The order of the menu.
pub fn compare(one: &MenuEntry, other: &MenuEntry) -> Ordering {
    let units = |text: &Option<String>| text.as_ref().map(|text| text.encode_utf16().collect::<Vec<u16>>());
    let version = |entry: &MenuEntry| entry.version.clone().unwrap_or_default();
    let left = |entry: &MenuEntry| entry.tries.as_ref().map(|tries| tries.left);
    let done = |entry: &MenuEntry| entry.tries.as_ref().and_then(|tries| tries.done).unwrap_or(0);
    one.is_bad()
        .cmp(&other.is_bad())
        .then_with(|| one.sort_key.is_none().cmp(&other.sort_key.is_none()))
        .then_with(|| {
            if one.sort_key.is_none() {
                return Ordering::Equal;
            }
            units(&one.sort_key)
                .cmp(&units(&other.sort_key))
                .then_with(|| units(&one.machine_id).cmp(&units(&other.machine_id)))
                .then_with(|| version::compare(&version(one), &version(other)).reverse())
        })
        .then_with(|| version::compare(&one.id, &other.id).reverse())
        .then_with(|| match (left(one), left(other)) {
            (Some(left), Some(other_left)) => other_left.cmp(&left).then_with(|| done(one).cmp(&done(other))),
            _ => Ordering::Equal,
        })
}

/// The name without the counters and the suffix, and the suffix.
fn split(file: &str) -> (&str, &str) {
    let at = file.len().saturating_sub(SUFFIX.len());
    let (stem, suffix) = file.split_at_checked(at).unwrap_or((file, ""));
    let with_counters = stem.rsplit_once('+').filter(|_| tries_of(&file.to_ascii_lowercase()).is_some());
    (with_counters.map_or(stem, |(stem, _)| stem), suffix)
}

/// The counters behind the last plus sign: `+LEFT`, or `+LEFT-DONE`.
fn tries_of(lower: &str) -> Option<Tries> {
    let (_, counters) = lower.strip_suffix(SUFFIX)?.rsplit_once('+')?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| is_number && i32::try_from(*number).is_ok())
    };
    match counters.split_once('-') {
        Some((left, done)) => Some(Tries { left: number(left)?, done: Some(number(done)?) }),
        None => Some(Tries { left: number(counters)?, done: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(file: &str, text: &str) -> Option<MenuEntry> {
        MenuEntry::parse(file, text.as_bytes(), &Loader::from_info(None, "x64"))
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        for (file, text) in [
            ("a.conf", "title x\n"),
            ("a.txt", "linux /x\n"),
            (".a.conf", "linux /x\n"),
            ("Auto-a.conf", "linux /x\n"),
            ("a.conf", "linux /x\nefi /y\n"),
            ("a.conf", "linux /x\narchitecture aa64\n"),
            ("a.conf", ""),
            ("a.conf", "\0linux /x\n"),
        ] {
            assert_eq!(parse(file, text), None, "{file}: {text:?}");
        }
        let old = Loader::from_info(Some("systemd-boot 257.1"), "x64");
        assert_eq!(MenuEntry::parse("a.conf", b"uki /x\n", &old), None);
        let entry = parse("A+2-1.CONF", "architecture X64\nlinux \\ostree\\x\n").unwrap();
        assert_eq!((entry.id.as_str(), entry.starts.as_str()), ("a.conf", "ostree/x"));
        assert_eq!(entry.tries, Some(Tries { left: 2, done: Some(1) }));
        assert_eq!(MenuEntry::parse("A+2-1.CONF", b"linux /x\n", &old).unwrap().id, "a+2-1.conf");
        for no_counter in ["a+.conf", "a+1-.conf", "a+x.conf", "a+1-2-3.conf", "a+99999999999.conf", "a+1x.conf"] {
            assert_eq!(parse(no_counter, "linux /x\n").unwrap().tries, None, "{no_counter}");
        }
    }

    #[test]
    fn the_menu_has_the_order_of_systemd_boot() {
        // Each is above the next.
        let menu = [
            ("z1.conf", "sort-key a\nmachine-id a\nversion 1\n"),
            ("b.conf", "sort-key b\nversion 2\n"),
            ("c.conf", "sort-key b\nversion 1\n"),
            ("d.conf", "sort-key b\nversion 1~rc1\n"),
            ("a.conf", "sort-key b\nmachine-id a\nversion 9\n"),
            ("x10+3-0.conf", ""),
            ("x9.conf", ""),
            ("y+0-3.conf", "sort-key a\n"),
            ("z+0-3.conf", ""),
        ];
        let entries: Vec<MenuEntry> =
            menu.iter().map(|(file, text)| parse(file, &format!("{text}linux /x\n")).unwrap()).collect();
        let mut sorted: Vec<MenuEntry> = entries.iter().rev().cloned().collect();
        sorted.sort_by(compare);
        assert_eq!(sorted, entries);
    }

    proptest! {
        #[test]
        fn no_file_panics(file in ".*", bytes: Vec<u8>) {
            let _ = MenuEntry::parse(&format!("{file}.conf"), &bytes, &Loader::default());
            let _ = MenuEntry::parse(&file, b"linux /x\n", &Loader::from_info(Some("systemd-boot 252.1"), "x64"));
        }
    }
}
