//! What a boot loader reads: Boot Loader Specification entries, type 1.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// An entry of `/boot/loader/entries`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootEntry {
    /// Path of the kernel, from the root of `/boot`.
    pub linux: String,
    /// Paths of the initramfs, likewise.
    pub initrd: Vec<String>,
    /// The kernel command line.
    pub options: String,
}

impl BootEntry {
    /// The entry that a boot loader takes by itself, of those in `boot` (a `/boot`): the one whose name sorts last.
    pub fn default_of(boot: &Path) -> Result<BootEntry> {
        let entries = boot.join("loader/entries");
        let listing = fs::read_dir(&entries).with_context(|| format!("listing {}", entries.display()))?;
        let names = listing.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let names = BootEntry::in_order(names.collect());
        let name = names.first().with_context(|| format!("no entry in {}", entries.display()))?;
        let path = entries.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok(BootEntry::parse(&text))
    }

    /// Names of entries in a boot loader's order, the one that it takes by itself first.
    pub fn in_order(mut names: Vec<String>) -> Vec<String> {
        names.sort_by_key(|name| std::cmp::Reverse(number(name)));
        names
    }

    /// Parses an entry; keys that are not needed to boot are passed over.
    pub fn parse(text: &str) -> BootEntry {
        let mut entry = BootEntry::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(char::is_whitespace) else { continue };
            let value = value.trim();
            match key {
                "linux" => value.clone_into(&mut entry.linux),
                "initrd" => entry.initrd.push(value.to_owned()),
                "options" => value.clone_into(&mut entry.options),
                _ => {}
            }
        }
        entry
    }

    /// The value of a kernel argument.
    pub fn argument(&self, name: &str) -> Option<&str> {
        self.options.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The number in `ostree-N.conf`, `ostree-N-STATEROOT.conf` or `ostree-N+TRIES.conf`: ostree's names differ in nothing else
/// that decides.
fn number(name: &str) -> u32 {
    let digits: String = name.trim_start_matches("ostree-").chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_wins() {
        let boot = tempfile::tempdir().unwrap();
        let entries = boot.path().join("loader/entries");
        fs::create_dir_all(&entries).unwrap();
        for number in [2, 10, 9] {
            let text = format!("title x\nlinux /k{number}\ninitrd /i\ninitrd /j\noptions rw  ostree=/a/{number}\n");
            fs::write(entries.join(format!("ostree-{number}.conf")), text).unwrap();
        }
        let entry = BootEntry::default_of(boot.path()).unwrap();
        assert_eq!((entry.linux.as_str(), entry.initrd.len()), ("/k10", 2));
        assert_eq!(entry.argument("ostree"), Some("/a/10"));
        assert_eq!(entry.argument("root"), None);
    }
}
