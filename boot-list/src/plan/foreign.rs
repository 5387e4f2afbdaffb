//! What a new list does with the files that libostree did not write, beside the boot loader entries: pure.

use std::collections::BTreeSet;

use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::foreign_file::{ForeignFile, LoaderPath};

/// A file that libostree did not write, and that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The file is kept unchanged.
    AsItIs {
        /// Where it is.
        from: LoaderPath,
        /// Where it will be: under another name if an entry of the list needs its name.
        to: LoaderPath,
    },
    /// An entry that leads to a deployment whose boot link changes.
    Relinked {
        /// Where it is.
        from: LoaderPath,
        /// Where it will be.
        to: LoaderPath,
        /// Its text.
        content: Vec<u8>,
    },
}

/// What happens to the files of others when a new list is activated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fate {
    /// Those that stay.
    pub kept: Vec<Kept>,
    /// Entries whose deployment is removed.
    pub dropped: Vec<LoaderPath>,
    /// What the administrator should know.
    pub warnings: Vec<String>,
}

impl Fate {
    /// Whether entries must be written for their sake.
    pub fn needs_new_entries(&self) -> bool {
        !self.dropped.is_empty() || self.kept.iter().any(|kept| matches!(kept, Kept::Relinked { .. }))
    }
}

/// Decides what happens to `foreign`. `bootlink` returns the boot link of a deployment in the new list; `is_taken` tells which
/// paths entries of the new list use.
pub fn decide(
    foreign: &[ForeignFile],
    bootlink: impl Fn(&DeploymentPath) -> Option<Bootlink>,
    is_taken: impl Fn(&str) -> bool,
) -> Fate {
    let mut fate = Fate::default();
    let mut names = BTreeSet::new();
    for foreign in foreign {
        names.insert(foreign.path.clone());
    }
    for ForeignFile { path, entry, .. } in foreign {
        let mut to = if path.must_be_renamed() { path.renamed() } else { path.clone() };
        while is_taken(&to.relative()) || (to != *path && names.contains(&to)) {
            to = to.renamed();
        }
        names.insert(to.clone());
        let from = path.clone();
        let lead = entry.as_ref().and_then(|entry| entry.leads_to.as_ref().map(|lead| (&entry.content, lead)));
        let Some((content, (link, deployment))) = lead else {
            fate.kept.push(Kept::AsItIs { from, to });
            continue;
        };
        match bootlink(deployment) {
            None => {
                fate.warnings.push(format!(
                    "the entry {path}, which libostree did not write, boots /{deployment}: this update removes both"
                ));
                fate.dropped.push(from);
            }
            Some(new) if new == *link => fate.kept.push(Kept::AsItIs { from, to }),
            Some(new) => {
                fate.warnings.push(format!(
                    "the entry {path}, which libostree did not write, boots /{deployment}: this update changes its ostree= to /{new}"
                ));
                fate.kept.push(Kept::Relinked { from, to, content: relinked(content, link, &new) });
            }
        }
    }
    fate
}

/// The text with one boot link in place of another.
fn relinked(content: &[u8], old: &Bootlink, new: &Bootlink) -> Vec<u8> {
    let (old, new) = (old.to_string(), new.to_string());
    let mut out = Vec::with_capacity(content.len() + new.len());
    let mut rest = content;
    while let Some(at) = rest.windows(old.len()).position(|window| window == old.as_bytes()) {
        let (before, found) = rest.split_at(at);
        let (found, after) = found.split_at(old.len());
        out.extend_from_slice(before);
        // `…/1` also matches the start of `…/12`.
        let is_whole = !after.first().is_some_and(u8::is_ascii_digit);
        out.extend_from_slice(if is_whole { new.as_bytes() } else { found });
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostree_sysroot::foreign_file::ForeignEntry;
    use system::dir::Kind;

    use crate::plan::removals::NamedInBoot;

    fn link(n: u8, serial: u32) -> Bootlink {
        format!("ostree/boot.{n}/os/{}/{serial}", "a".repeat(64)).parse().unwrap()
    }

    fn deployment() -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", "b".repeat(64)).parse().unwrap()
    }

    fn entry(name: &str, text: &str, leads: bool) -> ForeignFile {
        let mut entry = ForeignEntry::of(text.as_bytes().to_vec());
        entry.leads_to = entry.bootlink().filter(|_| leads).map(|link| (link, deployment()));
        ForeignFile { path: LoaderPath::entry(name.into()), kind: Kind::File, entry: Some(entry) }
    }

    #[test]
    fn an_entry_that_leads_to_a_deployment_follows_it() {
        let text = |link: &Bootlink| {
            format!(
                "title caf\u{e9}\nsort-key x\noptions quiet\noptions \"a b\" ostree=/{link} init=/{link}/usr/x y=/{link}2\n"
            )
        };
        let (old, new) = (link(1, 1), link(0, 0));
        let foreign = [entry("mine.conf", &text(&old), true)];
        let fate = decide(&foreign, |_| Some(new.clone()), |_| false);
        let [Kept::Relinked { content, .. }] = fate.kept.as_slice() else { panic!("{fate:?}") };
        let wanted = text(&new).replace(&format!("y=/{new}2"), &format!("y=/{old}2"));
        assert_eq!(String::from_utf8_lossy(content), wanted);
        assert!(fate.needs_new_entries() && fate.warnings.len() == 1);
        // Nothing has moved.
        let fate = decide(&foreign, |_| Some(old.clone()), |_| false);
        assert!(!fate.needs_new_entries() && fate.warnings.is_empty());
    }

    #[test]
    fn an_entry_whose_deployment_goes_is_dropped_by_name() {
        let foreign = [entry("zz-debug.conf", &format!("options ostree=/{}\n", link(1, 0)), true)];
        let fate = decide(&foreign, |_| None, |_| false);
        assert_eq!(fate.kept, []);
        assert_eq!(fate.dropped, [LoaderPath::entry(b"zz-debug.conf".to_vec())]);
        assert!(fate.warnings.iter().all(|text| text.contains("/boot/loader/entries/zz-debug.conf")), "{fate:?}");
        assert_eq!(NamedInBoot::by(&foreign, |_| false), NamedInBoot::default());
    }

    #[test]
    fn what_is_kept_gives_way_to_names_of_ours() {
        // One has the name already that the other would get.
        let foreign = ["ostree-2.conf", "other-ostree-2.conf"].map(|name| entry(name, "title Mine\n", false));
        let fate = decide(&foreign, |_| None, |path| path == "entries/ostree-2.conf");
        let moved = |from: &str, to: &str| Kept::AsItIs {
            from: LoaderPath::entry(from.into()),
            to: LoaderPath::entry(to.into()),
        };
        assert_eq!(
            fate.kept,
            [moved("ostree-2.conf", "other-other-ostree-2.conf"), moved("other-ostree-2.conf", "other-ostree-2.conf")]
        );
    }

    #[test]
    fn every_key_that_names_a_file_of_a_kernel_counts() {
        for text in [
            "linux /ostree/os-1/vmlinuz\n",
            "linux /boot/ostree/os-1/vmlinuz\n",
            "linux ($root)/ostree/os-1/vmlinuz\n",
            "initrd /i /ostree/os-1/initramfs.img\n",
            "devicetree /ostree/os-1/x.dtb\n",
            "fdtdir /ostree/os-1\n",
            "efi /ostree/os-1/x.efi\n",
            "uki\t/ostree/os-1/x.efi",
            "options initrd=\"/ostree/os-1\"",
        ] {
            assert!(NamedInBoot::by(&[entry("x.conf", text, false)], |_| true).has("os-1"), "{text}");
        }
        let named = NamedInBoot::by(&[entry("x.conf", "initrd /ostree/initramfs-overlays/a.img\n", false)], |_| true);
        assert!(named.has("initramfs-overlays/a.img") && !named.has("os-1") && !named.is_incomplete);
    }

    #[test]
    fn of_an_entry_that_was_not_read_any_name_may_be_in_it() {
        let entry = Some(ForeignEntry::unread());
        let foreign = ForeignFile { path: LoaderPath::entry(b"x.conf".to_vec()), kind: Kind::File, entry };
        assert!(NamedInBoot::by(&[foreign], |_| true).has("os-1"));
    }
}
