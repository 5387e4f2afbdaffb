//! What others put beside our boot loader entries: values, and what becomes of them with a new list. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::Bootlink;
use ostree_formats::deployment::DeploymentPath;
use ostree_formats::kargs::KernelArguments;
use system::dir::Kind;

/// A path relative to `loader.N`. Any bytes can be a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LoaderPath {
    in_entries: bool,
    name: Vec<u8>,
    /// Written anew it gets another name.
    is_renamed: bool,
}

impl LoaderPath {
    /// A name beside `entries`.
    pub(crate) fn beside(name: Vec<u8>) -> Self {
        Self { in_entries: false, name, is_renamed: false }
    }

    /// A name in `entries`.
    pub(crate) fn entry(name: Vec<u8>) -> Self {
        Self { in_entries: true, name, is_renamed: false }
    }

    /// Whether it is in `entries`.
    pub(crate) fn is_in_entries(&self) -> bool {
        self.in_entries
    }

    /// The name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Relative to `loader.N`, as text.
    pub(crate) fn relative(&self) -> String {
        let name = String::from_utf8_lossy(&self.name);
        if self.in_entries { format!("entries/{name}") } else { name.into_owned() }
    }

    /// The same file, which must not keep a name that libostree reads.
    pub(crate) fn no_name_of_ours(&self) -> Self {
        Self { is_renamed: true, ..self.clone() }
    }

    /// The same directory, another name, which libostree does not read.
    pub(crate) fn renamed(&self) -> Self {
        Self { name: [b"other-", self.name.as_slice()].concat(), in_entries: self.in_entries, is_renamed: false }
    }
}

impl fmt::Display for LoaderPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/boot/loader/{}", self.relative())
    }
}

/// A file, directory or link that libostree did not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Where.
    pub(crate) path: LoaderPath,
    /// What.
    pub(crate) kind: Kind,
    /// What it says, if it is an entry.
    pub(crate) entry: Option<ForeignEntry>,
}

/// A boot loader entry of another's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ForeignEntry {
    /// Empty if it was not read.
    content: Vec<u8>,
    /// Names in `boot/ostree` that it names: `STATEROOT-BOOTCSUM`, `initramfs-overlays/CHECKSUM.img`.
    names: BTreeSet<String>,
    /// It could not be read, or names too much: what it names is not known.
    pub(crate) is_unread: bool,
    /// It leads by this boot link to this deployment of ours.
    pub(crate) leads_to: Option<(Bootlink, DeploymentPath)>,
}

impl ForeignEntry {
    /// Reads it.
    pub(crate) fn of(content: Vec<u8>) -> Self {
        let names = names_in_boot_ostree(&String::from_utf8_lossy(&content));
        Self { content, names, is_unread: false, leads_to: None }
    }

    /// Adds what a piece of its text names.
    pub(crate) fn add_names_in(&mut self, text: &[u8]) {
        /// More than any `/boot` has kernels.
        const MOST: usize = 4096;
        self.names.extend(names_in_boot_ostree(&String::from_utf8_lossy(text)));
        if self.names.len() > MOST {
            *self = Self::unread();
        }
    }

    /// What it names in `boot/ostree`.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.names.iter()
    }

    /// Forgets the text, unless it may have to be written anew.
    pub(crate) fn forget_text(&mut self) {
        if self.leads_to.is_none() {
            self.content = Vec::new();
        }
    }

    /// One that was not read.
    pub(crate) fn unread() -> Self {
        Self { is_unread: true, ..Self::default() }
    }

    /// The boot link of its `ostree=`.
    pub(crate) fn bootlink(&self) -> Option<Bootlink> {
        let text: Cow<'_, str> = String::from_utf8_lossy(&self.content);
        let entry = BlsEntry::parse(text.replace('\0', " ").as_bytes()).ok()?;
        KernelArguments::parse(&entry.all_options()).get("ostree")?.parse().ok()
    }
}

/// What becomes of a file of another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It stays the file that it is, whatever that is.
    AsItIs {
        /// Where it is.
        from: LoaderPath,
        /// Where it will be: under another name where ours has its own.
        to: LoaderPath,
    },
    /// An entry that leads to a deployment whose boot link is another one now.
    Relinked {
        /// Where it is.
        from: LoaderPath,
        /// Where it will be.
        to: LoaderPath,
        /// Its text.
        content: Vec<u8>,
    },
}

/// Files of others, when a list counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Those that stay.
    pub(crate) kept: Vec<Kept>,
    /// Entries whose deployment goes.
    pub(crate) dropped: Vec<LoaderPath>,
    /// What the administrator should know.
    pub(crate) warnings: Vec<String>,
}

impl Fate {
    /// Whether entries must be written for their sake.
    pub(crate) fn needs_new_entries(&self) -> bool {
        !self.dropped.is_empty() || self.kept.iter().any(|kept| matches!(kept, Kept::Relinked { .. }))
    }
}

/// Decides what becomes of `foreign`: `bootlink` says which boot link a deployment of the new list has, and `is_taken` which paths have
/// entries of ours.
pub(crate) fn decide(
    foreign: &[Foreign],
    bootlink: impl Fn(&DeploymentPath) -> Option<Bootlink>,
    is_taken: impl Fn(&str) -> bool,
) -> Fate {
    let mut fate = Fate::default();
    let mut names: BTreeSet<LoaderPath> = foreign.iter().map(|foreign| foreign.path.clone()).collect();
    for Foreign { path, entry, .. } in foreign {
        let mut to = if path.is_renamed { path.renamed() } else { path.clone() };
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
                    "{path}, which libostree did not write, is dropped: it boots /{deployment}, which this update removes"
                ));
                fate.dropped.push(from);
            }
            Some(new) if new == *link => fate.kept.push(Kept::AsItIs { from, to }),
            Some(new) => {
                fate.warnings.push(format!(
                    "{path}, which libostree did not write, boots /{deployment}: its ostree= becomes /{new}"
                ));
                fate.kept.push(Kept::Relinked { from, to, content: relinked(content, link, &new) });
            }
        }
    }
    fate
}

/// What kept entries name in `boot/ostree`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NamedInBoot {
    /// `STATEROOT-BOOTCSUM`, `initramfs-overlays/CHECKSUM.img`.
    names: BTreeSet<String>,
    /// An entry could not be read: any name can be in it.
    pub(crate) is_incomplete: bool,
}

impl NamedInBoot {
    /// Of the entries that stay when `is_listed` says which deployments do.
    pub(crate) fn by(foreign: &[Foreign], is_listed: impl Fn(&DeploymentPath) -> bool) -> Self {
        let entries = foreign.iter().filter_map(|foreign| foreign.entry.as_ref());
        let stays = |entry: &&ForeignEntry| entry.leads_to.as_ref().is_none_or(|(_, deployment)| is_listed(deployment));
        let mut named = Self::default();
        for entry in entries.filter(stays) {
            named.is_incomplete |= entry.is_unread;
            named.names.extend(entry.names.iter().cloned());
        }
        named
    }

    /// Whether a kept entry names this path in `boot/ostree`, or may.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.is_incomplete || self.names.contains(path)
    }
}

/// Every name behind an `ostree/` in the text: in `linux`, `initrd`, `devicetree`, `fdtdir`, `efi`, `uki`, with or without `/boot` and a
/// boot loader's variables in front, and in kernel arguments. One that is no name in `boot/ostree` does no harm.
fn names_in_boot_ostree(text: &str) -> BTreeSet<String> {
    let ends = |character: char| character == '/' || character.is_whitespace() || character == '"' || character == '\'';
    let mut names = BTreeSet::new();
    for (at, before) in text.match_indices("ostree/") {
        let rest = text.get(at + before.len()..).unwrap_or_default();
        let mut parts = rest.split(ends);
        let first = parts.next().unwrap_or_default();
        let name = match parts.next() {
            Some(second) if first == "initramfs-overlays" => format!("{first}/{second}"),
            _ => first.to_owned(),
        };
        names.insert(name);
    }
    names
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
        // `…/1` is in `…/12`, too.
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

    fn link(n: u8, serial: u32) -> Bootlink {
        format!("ostree/boot.{n}/os/{}/{serial}", "a".repeat(64)).parse().unwrap()
    }

    fn deployment() -> DeploymentPath {
        format!("ostree/deploy/os/deploy/{}.0", "b".repeat(64)).parse().unwrap()
    }

    fn entry(name: &str, text: &str, leads: bool) -> Foreign {
        let mut entry = ForeignEntry::of(text.as_bytes().to_vec());
        entry.leads_to = entry.bootlink().filter(|_| leads).map(|link| (link, deployment()));
        Foreign { path: LoaderPath::entry(name.into()), kind: Kind::File, entry: Some(entry) }
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
        let foreign = Foreign { path: LoaderPath::entry(b"x.conf".to_vec()), kind: Kind::File, entry };
        assert!(NamedInBoot::by(&[foreign], |_| true).has("os-1"));
    }
}
