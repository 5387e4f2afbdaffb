//! Everything that a finalization leaves on a disk and in the journal, in a form that can be compared.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{IFlags, ioctl_getflags, lgetxattr, llistxattr};
use sha2::{Digest, Sha256};

use super::entry;
use super::finalization::Finalized;
use super::machine::Machine;

/// What a thing is like: the names of its aspects, and their values.
pub(super) type Aspects = BTreeMap<String, String>;

/// Things by path. What is no file has a path that no file has: `exit status`, `journal: …`.
pub type Listing = BTreeMap<String, Aspects>;

/// What is not compared: inodes, times, and what the repository has for the moment only.
const LEFT_OUT: &[&str] = &["ostree/repo/tmp", "ostree/repo/.lock"];

/// All of an object's name is its content.
const OBJECTS: &str = "ostree/repo/objects/";

/// What `finalized` has left on `machine`.
pub fn listing(machine: &Machine, finalized: &Finalized) -> Result<Listing> {
    let mut listing = machine.with_disk(|root| {
        let mut walk = Walk::default();
        for directory in ["boot", "ostree"] {
            walk.add(root, Path::new(directory))?;
        }
        Ok(walk.listing)
    })?;
    let mut walk = Walk::default();
    walk.add(machine.run_ostree().parent().context("/run/ostree")?, Path::new("run-ostree"))?;
    listing.extend(walk.listing);
    let status = format!("{:?}, signal {:?}", finalized.outcome.code, finalized.outcome.signal);
    listing.insert("exit status".to_owned(), Aspects::from([("status".to_owned(), status)]));
    listing.extend(messages(finalized));
    Ok(listing)
}

/// All that is at `path`, relative to `root`, and below.
pub fn listing_below(root: &Path, path: &Path) -> Result<Listing> {
    let mut walk = Walk::default();
    walk.add(root, path)?;
    Ok(walk.listing)
}

/// Only messages that somebody can look for. Source code lines, durations and texts are the sender's own.
fn messages(finalized: &Finalized) -> Listing {
    let told = |field: &str| field.starts_with("OSTREE_") && !field.ends_with("_MSEC") || field.starts_with("ETC_");
    let mut listing = Listing::new();
    let mut sorted: Vec<_> = finalized.journal.iter().filter(|message| message.contains_key("MESSAGE_ID")).collect();
    // Their order is the program's; of two that are alike, the order counts.
    sorted.sort_by_key(|message| message.get("MESSAGE_ID").cloned());
    for message in sorted {
        let id = message.get("MESSAGE_ID").cloned().unwrap_or_default();
        let fields =
            message.iter().filter(|(field, _)| told(field)).map(|(field, value)| (field.clone(), value.clone()));
        let mut fields: Aspects = fields.collect();
        fields.insert("kind".to_owned(), "message".to_owned());
        let mut name = format!("journal: {id}");
        while listing.contains_key(&name) {
            name.push_str(" again");
        }
        listing.insert(name, fields);
    }
    listing
}

#[derive(Default)]
struct Walk {
    listing: Listing,
    /// The first path of each file that has several.
    first: BTreeMap<(u64, u64), String>,
    /// What such a file holds: it is read once.
    read: BTreeMap<(u64, u64), String>,
}

impl Walk {
    /// Lists `path`, relative to `root`, and what is below it.
    fn add(&mut self, root: &Path, path: &Path) -> Result<()> {
        // Any bytes can be a name.
        let name = path.as_os_str().as_bytes().escape_ascii().to_string();
        if LEFT_OUT.contains(&name.as_str()) {
            return Ok(());
        }
        let place = root.join(path);
        let metadata = fs::symlink_metadata(&place).with_context(|| format!("looking at {}", place.display()))?;
        let aspects =
            self.aspects(&place, &name, &metadata).with_context(|| format!("looking at {}", place.display()))?;
        self.listing.insert(name, aspects);
        if metadata.is_dir() {
            let mut names = Vec::new();
            for entry in fs::read_dir(&place).with_context(|| format!("listing {}", place.display()))? {
                names.push(entry.with_context(|| format!("listing {}", place.display()))?.file_name());
            }
            names.sort();
            for name in names {
                self.add(root, &path.join(name))?;
            }
        }
        Ok(())
    }

    fn aspects(&mut self, place: &Path, name: &str, metadata: &Metadata) -> Result<Aspects> {
        let mut aspects = Aspects::new();
        let mut set = |aspect: &str, value: String| aspects.insert(aspect.to_owned(), value);
        let kind = metadata.file_type();
        set(
            "kind",
            match kind {
                _ if kind.is_dir() => "directory".to_owned(),
                _ if kind.is_file() => "file".to_owned(),
                _ if kind.is_symlink() => "link".to_owned(),
                _ if kind.is_fifo() => "fifo".to_owned(),
                _ if kind.is_socket() => "socket".to_owned(),
                _ => format!("device {:x}", metadata.rdev()),
            },
        );
        if name.starts_with(OBJECTS) {
            self.first_path(name, metadata);
            return Ok(aspects);
        }
        if kind.is_symlink() {
            set("target", fs::read_link(place)?.as_os_str().as_bytes().escape_ascii().to_string());
        } else {
            set("mode", format!("{:04o}", metadata.mode() & 0o7777));
        }
        set("owner", format!("{}:{}", metadata.uid(), metadata.gid()));
        if !kind.is_dir() && metadata.nlink() > 1 {
            set("same file as", self.first_path(name, metadata));
        }
        for (attribute, value) in attributes(place)? {
            set(&format!("attribute {attribute}"), value);
        }
        if kind.is_dir() || kind.is_file() {
            let file = File::open(place)?;
            // Where the filesystem has no flags, nothing is immutable.
            let flags = ioctl_getflags(&file).unwrap_or(IFlags::empty());
            if flags.contains(IFlags::IMMUTABLE) {
                set("immutable", "yes".to_owned());
            }
        }
        if kind.is_file() {
            if name.starts_with("boot/loader") && name.ends_with(".conf") {
                aspects.extend(entry::aspects(&String::from_utf8_lossy(&fs::read(place)?)));
            } else {
                let file = (metadata.dev(), metadata.ino());
                let known = self.read.get(&file).filter(|_| metadata.nlink() > 1).cloned();
                let content = known.map_or_else(|| fs::read(place).map(|content| shown(&content)), Ok)?;
                self.read.insert(file, content.clone());
                set("content", content);
            }
        }
        Ok(aspects)
    }

    fn first_path(&mut self, name: &str, metadata: &Metadata) -> String {
        let file = (metadata.dev(), metadata.ino());
        self.first.entry(file).or_insert_with(|| name.to_owned()).clone()
    }
}

fn attributes(place: &Path) -> Result<Vec<(String, String)>> {
    let mut names = vec![0; 1 << 16];
    let length = llistxattr(place, &mut names).context("listing attributes")?;
    let mut attributes = Vec::new();
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = String::from_utf8_lossy(name).into_owned();
        let mut value = vec![0; 1 << 16];
        let length = lgetxattr(place, name.as_str(), &mut value).with_context(|| format!("reading {name}"))?;
        let value = value.get(..length).unwrap_or_default().escape_ascii().to_string();
        attributes.push((name, value));
    }
    Ok(attributes)
}

/// Texts as they are, so that a difference can be read, as long as a boot loader's file; of others the size and a hash.
pub(crate) fn shown(content: &[u8]) -> String {
    let is_text = content.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if content.len() <= if is_text { 2000 } else { 200 } {
        return format!("{:?}", content.escape_ascii().to_string());
    }
    let hash = Sha256::digest(content);
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes, {hash}…", content.len())
}
