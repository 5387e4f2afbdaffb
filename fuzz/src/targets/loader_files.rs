//! The files of boot loaders that do not read entries.

use ostree_formats::bls::BlsEntry;
use ostree_formats::grub_cfg::{GrubNames, says_blscfg};
use ostree_formats::uboot::OfTrees;
use ostree_formats::{grub_menu, syslinux, uboot};

fn entries() -> [BlsEntry; 2] {
    let entry = |name: &str| {
        let text =
            format!("title {name} (ostree:0)\nlinux /ostree/os-{name}/k\ninitrd /ostree/os-{name}/i\noptions ro\n");
        BlsEntry::parse(text.as_bytes()).unwrap_or_default()
    };
    [entry("b"), entry("a")]
}

/// The labels of the list are at the end, and lines of others stay; only empty lines may go.
pub(super) fn syslinux_cfg(bytes: &[u8]) {
    let written = |text: &[u8]| syslinux::with_entries(text, &entries(), "/boot");
    let (own, new) = (written(b""), written(bytes));
    let labels = own.split_at(b"DEFAULT ostree:0\n".len()).1;
    assert!(new.ends_with(labels));
    let others = new.get(..new.len() - labels.len()).unwrap_or_default();
    let mut left = others.split(|byte| *byte == b'\n');
    // What is kept stands in the old text, in that order, but for a new default at its end.
    let old: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let mut at = 0;
    let is_kept = left.all(|line| {
        let found = old.get(at..).unwrap_or_default().iter().position(|old| *old == line);
        at += found.map_or(0, |found| found + 1);
        found.is_some() || line.is_empty() || line == b"DEFAULT ostree:0"
    });
    assert!(is_kept);
    // The end of the file is an empty line, which stays before the labels.
    let again = written(&written(&new));
    assert_eq!(written(&again), again);
}

/// The list comes first, and written again the text is the same.
pub(super) fn uboot_env(bytes: &[u8]) {
    let (old, tree) = match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => bytes.split_at(at),
        None => (bytes, &[][..]),
    };
    let written = |text: &[u8]| uboot::with_entries(text, &entries(), OfTrees { old: Some(tree), new: None });
    let (own, new) = (written(b""), written(old));
    assert!(new.starts_with(&own));
    assert_eq!(written(&new), new);
}

/// How many names are looked for: there may be one for every ten bytes.
const SOME: usize = 20;

/// Each name stands in the script, and a link at its end is found.
pub(super) fn grub_cfg(bytes: &[u8]) {
    let script = String::from_utf8_lossy(bytes);
    let names = GrubNames::of(bytes);
    assert!(names.in_boot_ostree.iter().take(SOME).all(|name| script.contains(name.as_str())));
    assert!(names.bootlinks.iter().take(SOME).all(|link| script.contains(link.stateroot.as_str())));
    let link = format!("ostree/boot.1/os/{}/0", "a".repeat(64));
    let with = GrubNames::of(&[bytes, b" /", link.as_bytes(), b"\n"].concat());
    assert!(with.bootlinks.iter().any(|found| found.to_string() == link));
    let _ = says_blscfg(bytes);
    with_default(bytes, &link);
}

/// A menu with another default is the same up to its end, and has one entry of that name.
fn with_default(bytes: &[u8], link: &str) {
    let Ok(link) = link.parse() else { return };
    // No entry of the script itself boots it, but for a script that was written for it.
    let entry = format!("\nmenuentry 'of the test' {{\nlinux /x ostree=/{link}\n}}\n");
    let longer = [bytes, entry.as_bytes()].concat();
    for script in [bytes, &longer] {
        let Ok(menu) = grub_menu::with_default(script, &link) else { continue };
        let text = String::from_utf8_lossy(&menu);
        let last = text.lines().last().unwrap_or_default();
        assert!(last.contains("set default='") && last.ends_with("'; fi"), "{last}");
        assert_eq!(grub_menu::with_default(&menu, &link).as_ref(), Ok(&menu));
    }
}
