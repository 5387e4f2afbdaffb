//! Files beside the boot loader entries that libostree did not write: values. Pure.

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
pub struct LoaderPath {
    in_entries: bool,
    name: Vec<u8>,
    /// In the next `loader.N` it gets another name.
    is_renamed: bool,
}

impl LoaderPath {
    /// A name beside `entries`.
    pub fn beside(name: Vec<u8>) -> Self {
        Self { in_entries: false, name, is_renamed: false }
    }

    /// A name in `entries`.
    pub fn entry(name: Vec<u8>) -> Self {
        Self { in_entries: true, name, is_renamed: false }
    }

    /// Whether it is in `entries`.
    pub fn is_in_entries(&self) -> bool {
        self.in_entries
    }

    /// The name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Relative to `loader.N`, as text.
    pub fn relative(&self) -> String {
        let name = String::from_utf8_lossy(&self.name);
        if self.in_entries { format!("entries/{name}") } else { name.into_owned() }
    }

    /// The same file, marked: it must not keep a name that libostree reads.
    pub fn no_name_of_ours(&self) -> Self {
        Self { is_renamed: true, ..self.clone() }
    }

    /// Whether it must not keep its name.
    pub fn must_be_renamed(&self) -> bool {
        self.is_renamed
    }

    /// The same directory, another name, which libostree does not read.
    pub fn renamed(&self) -> Self {
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
pub struct ForeignFile {
    /// Where it is.
    pub path: LoaderPath,
    /// File, directory, link, or other.
    pub kind: Kind,
    /// Its content, if it is an entry.
    pub entry: Option<ForeignEntry>,
}

/// A boot loader entry that libostree did not write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignEntry {
    /// Empty if it was not read.
    pub content: Vec<u8>,
    /// Names in `boot/ostree` that it uses: `STATEROOT-BOOTCSUM`, `initramfs-overlays/CHECKSUM.img`.
    pub names: BTreeSet<String>,
    /// It could not be read, or has too many names. So the names that it uses are unknown.
    pub is_unread: bool,
    /// Its boot link, and the deployment of this system that the link leads to.
    pub leads_to: Option<(Bootlink, DeploymentPath)>,
}

impl ForeignEntry {
    /// Reads it.
    pub fn of(content: Vec<u8>) -> Self {
        let names = names_in_boot_ostree(&String::from_utf8_lossy(&content));
        Self { content, names, is_unread: false, leads_to: None }
    }

    /// Adds the names in a piece of its text.
    pub fn add_names_in(&mut self, text: &[u8]) {
        /// More than the kernels of any `/boot`.
        const MOST: usize = 4096;
        self.names.extend(names_in_boot_ostree(&String::from_utf8_lossy(text)));
        if self.names.len() > MOST {
            *self = Self::unread();
        }
    }

    /// Drops the text, unless the entry leads to a deployment: it may have to be written again.
    pub fn forget_text(&mut self) {
        if self.leads_to.is_none() {
            self.content = Vec::new();
        }
    }

    /// One that was not read.
    pub fn unread() -> Self {
        Self { is_unread: true, ..Self::default() }
    }

    /// The boot link of its `ostree=`.
    pub fn bootlink(&self) -> Option<Bootlink> {
        let text: Cow<'_, str> = String::from_utf8_lossy(&self.content);
        let entry = BlsEntry::parse(text.replace('\0', " ").as_bytes()).ok()?;
        KernelArguments::parse(&entry.all_options()).get("ostree")?.parse().ok()
    }
}

/// Every name after an `ostree/` in the text: in `linux`, `initrd`, `devicetree`, `fdtdir`, `efi`, `uki`, with or without `/boot`
/// and a boot loader's variables before it, and in kernel arguments. A name that is not in `boot/ostree` does no harm.
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
