//! `grub.cfg`, a script that a program has written: the names in it that a boot needs, and the setting that makes them unnecessary.

use std::collections::BTreeSet;

use crate::bootlink::Bootlink;

/// What a boot through a `grub.cfg` may need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrubNames {
    /// Names in `boot/ostree`: `STATEROOT-BOOTCSUM`, `initramfs-overlays/CHECKSUM.img`.
    pub in_boot_ostree: BTreeSet<String>,
    /// Boot links.
    pub bootlinks: BTreeSet<Bootlink>,
}

impl GrubNames {
    /// Finds every name after an `ostree/`, wherever it stands. A name that does not exist does no harm.
    pub fn of(script: &[u8]) -> Self {
        const OSTREE: &str = "ostree/";
        let script = String::from_utf8_lossy(script);
        let mut names = Self::default();
        for (at, _) in script.match_indices(OSTREE) {
            let word = script.get(at..).unwrap_or_default();
            let mut parts = word.split(ends_a_name);
            let mut next = || parts.next().unwrap_or_default();
            let (ostree, first, second) = (next(), next(), next());
            if first.starts_with("boot.") {
                let (bootcsum, serial) = (next(), next());
                let link = format!("{ostree}/{first}/{second}/{bootcsum}/{serial}");
                names.bootlinks.extend(link.parse::<Bootlink>().ok());
            } else if first == "initramfs-overlays" {
                names.in_boot_ostree.insert(format!("{first}/{second}"));
            } else {
                names.in_boot_ostree.insert(first.to_owned());
            }
        }
        names
    }

    /// Adds those of another file.
    pub fn extend(&mut self, other: Self) {
        self.in_boot_ostree.extend(other.in_boot_ostree);
        self.bootlinks.extend(other.bootlinks);
    }
}

/// Ends of names in paths, and of words in GRUB's and the shell's language.
fn ends_a_name(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '/' | '"' | '\'' | ';' | '{' | '}' | '&' | '|' | '<' | '>' | '\\' | ',')
}

/// Whether `/etc/default/grub` says that GRUB reads boot loader entries. A shell reads that file; the last plain setting counts here.
pub fn says_blscfg(defaults: &[u8]) -> bool {
    let text = String::from_utf8_lossy(defaults);
    let mut values = text.lines().filter_map(|line| line.trim().strip_prefix("GRUB_ENABLE_BLSCFG="));
    values.next_back().is_some_and(|value| matches!(value.trim(), "true" | "\"true\"" | "'true'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_mkconfig_writes_is_found() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let script = format!(
            "menuentry 'OS 2 (ostree:0)' --class os 'ostree-0-x' {{\nlinux /boot/ostree/os-{b}/vmlinuz-6 root=x ostree=/ostree/boot.1/os/{b}/0\n\
             initrd /boot/ostree/os-{b}/initramfs-6.img /ostree/initramfs-overlays/{a}.img\n}}\n\
             linux16 /ostree/os-{a}/vmlinuz \"ostree=/ostree/boot.0/os/{a}/12\" init=/ostree/boot.1/os/{a}/3/usr/lib/ostree/ostree-prepare-root;\n"
        );
        let names = GrubNames::of(script.as_bytes());
        for name in [format!("os-{b}"), format!("os-{a}"), format!("initramfs-overlays/{a}.img")] {
            assert!(names.in_boot_ostree.contains(&name), "{name} in {names:?}");
        }
        let links: Vec<String> = names.bootlinks.iter().map(Bootlink::to_string).collect();
        let wanted = [("0", &a, "12"), ("1", &a, "3"), ("1", &b, "0")];
        assert_eq!(links, wanted.map(|(n, sum, serial)| format!("ostree/boot.{n}/os/{sum}/{serial}")));
        assert_eq!(GrubNames::of(b"blscfg\nset default=0\n"), GrubNames::default());
    }

    #[test]
    fn the_last_setting_counts() {
        assert!(says_blscfg(b"GRUB_TIMEOUT=1\nGRUB_ENABLE_BLSCFG=false\n GRUB_ENABLE_BLSCFG=\"true\"\n"));
        for text in [
            "",
            "#GRUB_ENABLE_BLSCFG=true\n",
            "GRUB_ENABLE_BLSCFG=true\nGRUB_ENABLE_BLSCFG=no",
            "GRUB_ENABLE_BLSCFG=true1",
        ] {
            assert!(!says_blscfg(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = GrubNames::of(&bytes);
            let _ = says_blscfg(&bytes);
        }
    }
}
