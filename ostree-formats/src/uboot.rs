//! `uEnv.txt`, a text of U-Boot's variables: those of this system are written anew, the machine's own lines stay.
//!
//! The first part is libostree's text, byte by byte. libostree drops the machine's lines; here they follow at the end, where they
//! win over the tree's, because U-Boot takes the last value of a variable.

use std::collections::BTreeSet;

use crate::bls::{BlsEntry, one_line};
use crate::syslinux::joined;

/// The variables of an entry. The first entry's have these names; a number follows for the others.
const VARIABLES: [&[u8]; 5] = [b"kernel_image", b"ramdisk_image", b"fdt_file", b"fdtdir", b"bootargs"];

/// The `usr/lib/ostree-boot/uEnv.txt` of trees, whose lines are in the file of the list whose first tree they are of.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfTrees<'a> {
    /// Of the first tree of the current list.
    pub old: Option<&'a [u8]>,
    /// Of the first tree of the new list.
    pub new: Option<&'a [u8]>,
}

/// The new text, for the entries of a list in their order. `old` is the current text, in which anything may stand.
pub fn with_entries(old: &[u8], entries: &[BlsEntry], of_trees: OfTrees<'_>) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    // Without a kernel it is no entry to boot.
    let bootable = entries.iter().filter_map(|entry| entry.get("linux").map(|kernel| (entry, kernel)));
    for (index, (entry, kernel)) in bootable.enumerate() {
        let suffix = if index == 0 { String::new() } else { (index + 1).to_string() };
        let mut add = |name: &str, value: &str| lines.push(variable(&format!("{name}{suffix}"), value));
        add("kernel_image", &format!("/boot{kernel}"));
        for (name, key) in [("ramdisk_image", "initrd"), ("fdt_file", "devicetree"), ("fdtdir", "fdtdir")] {
            if let Some(path) = entry.get(key) {
                add(name, &format!("/boot{path}"));
            }
        }
        if let Some(options) = entry.get("options") {
            add("bootargs", options);
            if let Some(text) = of_trees.new.filter(|_| index == 0) {
                lines.push(closed(text.to_vec(), b"\n"));
            }
        }
    }
    let shipped: BTreeSet<&[u8]> = variables(of_trees.old.unwrap_or_default()).into_iter().collect();
    let is_kept = |line: &&[u8]| !line.is_empty() && !is_of_an_entry(line) && !shipped.contains(line);
    joined(lines.iter().map(Vec::as_slice).chain(variables(old).into_iter().filter(is_kept)))
}

fn variable(name: &str, value: &str) -> Vec<u8> {
    closed(format!("{name}={}", one_line(value)).into_bytes(), b" ")
}

/// Appends `end` to a text that ends with a backslash of its own: the backslash would take the end of the line.
fn closed(mut text: Vec<u8>, end: &[u8]) -> Vec<u8> {
    if ends_with_a_single_backslash(&text) {
        text.extend_from_slice(end);
    }
    text
}

fn ends_with_a_single_backslash(text: &[u8]) -> bool {
    text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The lines of a text, each with those that it is continued on, and without the end of lines of other systems.
fn variables(text: &[u8]) -> Vec<&[u8]> {
    let (mut lines, mut begin, mut is_escaped) = (Vec::new(), 0, false);
    let mut add = |range| lines.extend(text.get(range).map(|line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line)));
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'\n' if !is_escaped => {
                add(begin..at);
                begin = at + 1;
            }
            b'\\' if !is_escaped => {
                is_escaped = true;
                continue;
            }
            _ => {}
        }
        is_escaped = false;
    }
    // A backslash at the very end takes the last line feed, and there is nothing that it goes on with.
    let end = if begin < text.len() && text.ends_with(b"\n") { text.len() - 1 } else { text.len() };
    add(begin..end);
    lines
}

/// Whether a line sets a variable of an entry.
fn is_of_an_entry(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    VARIABLES.iter().any(|own| name.strip_prefix(*own).is_some_and(|number| number.iter().all(u8::is_ascii_digit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(text: &str) -> BlsEntry {
        BlsEntry::parse(text.as_bytes()).unwrap()
    }

    fn two() -> [BlsEntry; 2] {
        [
            entry(
                "title B\noptions root=/dev/x ostree=/ostree/boot.0/os/b/0\nlinux /ostree/os-b/vmlinuz\ninitrd /ostree/os-b/initramfs.img\n",
            ),
            entry(
                "title A\noptions ro\nlinux /ostree/os-a/vmlinuz\nfdtdir /ostree/os-a/dtb\ndevicetree /ostree/os-a/x.dtb\n",
            ),
        ]
    }

    fn written(old: &str, of_trees: OfTrees<'_>) -> String {
        String::from_utf8(with_entries(old.as_bytes(), &two(), of_trees)).unwrap()
    }

    const OF_ENTRIES: [&str; 2] = [
        "kernel_image=/boot/ostree/os-b/vmlinuz\nramdisk_image=/boot/ostree/os-b/initramfs.img\nbootargs=root=/dev/x ostree=/ostree/boot.0/os/b/0\n",
        "kernel_image2=/boot/ostree/os-a/vmlinuz\nfdt_file2=/boot/ostree/os-a/x.dtb\nfdtdir2=/boot/ostree/os-a/dtb\nbootargs2=ro\n",
    ];

    #[test]
    fn it_is_what_libostree_writes() {
        let of_trees = OfTrees { old: None, new: Some(b"system_var=1\nsecond=2\n") };
        assert_eq!(written("", of_trees), format!("{}system_var=1\nsecond=2\n\n{}", OF_ENTRIES[0], OF_ENTRIES[1]));
        let empty = OfTrees { old: None, new: Some(b"") };
        assert_eq!(written("", empty), format!("{}\n{}", OF_ENTRIES[0], OF_ENTRIES[1]));
        assert_eq!(written("", OfTrees::default()), OF_ENTRIES.concat());
    }

    #[test]
    fn lines_of_the_machine_stay_and_those_of_a_list_or_a_tree_go() {
        let of_trees = OfTrees { old: Some(b"console=ttyS0\nvar=1\n"), new: Some(b"var=2") };
        let old = "kernel_image=/x\nbootargs17=\n fdtdir2=y\nconsole=ttyS0\r\nvar=1\n\nmine=1\n# note\nbootargs_mine=2\nvar=3\n";
        let new = written(old, of_trees);
        let ours = format!("{}var=2\n{}", OF_ENTRIES[0], OF_ENTRIES[1]);
        assert_eq!(new, format!("{ours}mine=1\n# note\nbootargs_mine=2\nvar=3\n"));
        let again = OfTrees { old: Some(b"var=2"), new: Some(b"var=2") };
        assert_eq!(written(&new, again), new);
    }

    #[test]
    fn a_line_that_goes_on_is_one_and_none_takes_the_next() {
        let old = "cmd=run a; \\\nbootargs=x\nend=\\";
        assert!(written(old, OfTrees::default()).ends_with(&format!("{old}\n")));
        let again = written(&written(old, OfTrees::default()), OfTrees::default());
        assert!(again.ends_with(&format!("{old}\n")) && !again.ends_with("\n\n"));
        let entries = [entry("linux /k\noptions a\\\n"), entry("linux /l\n")];
        let text = with_entries(b"", &entries, OfTrees { old: None, new: Some(b"x=\\") });
        assert_eq!(text, b"kernel_image=/boot/k\nbootargs=a\\ \nx=\\\n\nkernel_image2=/boot/l\n");
        let mut entry = BlsEntry::default();
        entry.push("linux", "/k\rbootcmd=x\nbootcmd=y");
        assert_eq!(with_entries(b"", &[entry], OfTrees::default()), b"kernel_image=/boot/k bootcmd=x bootcmd=y\n");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_nothing_of_the_machine_is_lost(old: Vec<u8>, shipped: Vec<u8>, new: Vec<u8>) {
            let text = with_entries(&old, &two(), OfTrees { old: Some(&shipped), new: Some(&new) });
            for line in variables(&old) {
                let is_lost = !text.windows(line.len().max(1)).any(|window| window == line);
                prop_assert!(!is_lost || line.is_empty() || is_of_an_entry(line) || variables(&shipped).contains(&line));
            }
        }
    }
}
