//! A mount table that can be compared with another machine's.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use ostree_formats::mountinfo::{self, MountEntry};

/// The mounts of a system, by target; mounts over each other stay in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

/// One mount, without what differs from one boot to the next: mount ids, device numbers, random names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub target: PathBuf,
    /// Type of the filesystem.
    pub fstype: String,
    /// What was mounted.
    pub source: String,
    /// The directory of the filesystem that is mounted.
    pub root: String,
    /// Options of the mount.
    pub options: String,
    /// Options of the filesystem.
    pub super_options: String,
    /// Propagation; a peer group has the name of the first target in it.
    pub propagation: String,
}

impl MountTable {
    /// Reads a mountinfo file.
    pub fn parse(mountinfo: &[u8]) -> MountTable {
        let mut entries = mountinfo::parse(mountinfo);
        entries.sort_by(|a, b| a.target.cmp(&b.target));
        let mut groups = BTreeMap::new();
        for entry in &entries {
            for tag in &entry.propagation {
                if let Some(group) = tag.strip_prefix("shared:") {
                    groups.entry(group.to_owned()).or_insert_with(|| entry.target.display().to_string());
                }
            }
        }
        MountTable { mounts: entries.iter().map(|entry| Mount::new(entry, &groups)).collect() }
    }

    /// All mounts.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount that is seen at `target`: the last one of those over each other.
    pub fn at(&self, target: &str) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.target.as_os_str() == target)
    }

    /// The table without the mounts that `unwanted` picks.
    #[must_use]
    pub fn without(mut self, unwanted: impl Fn(&Mount) -> bool) -> MountTable {
        self.mounts.retain(|mount| !unwanted(mount));
        self
    }
}

impl Mount {
    fn new(entry: &MountEntry, groups: &BTreeMap<String, String>) -> Mount {
        let propagation = entry.propagation.iter().map(|tag| match tag.split_once(':') {
            Some((kind, group)) => format!("{kind}:{}", groups.get(group).map_or("(elsewhere)", String::as_str)),
            None => tag.clone(),
        });
        let propagation: Vec<String> = propagation.collect();
        Mount {
            target: entry.target.clone(),
            fstype: entry.fstype.clone(),
            source: without_random_names(&entry.source.to_string_lossy()),
            root: without_random_names(&entry.root.to_string_lossy()),
            options: entry.options.clone(),
            super_options: without_numbers(&without_random_names(&entry.super_options)),
            propagation: if propagation.is_empty() { "private".to_owned() } else { propagation.join(" ") },
        }
    }

    /// Whether the mount is read-only, which is not the same as a read-only filesystem.
    pub fn is_read_only(&self) -> bool {
        self.has_option("ro")
    }

    /// Whether the mount has this option.
    pub fn has_option(&self, option: &str) -> bool {
        self.options.split(',').any(|word| word == option)
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mount { target, fstype, source, root, options, super_options, propagation } = self;
        let target = target.display();
        write!(f, "{target}  {fstype} {source}[{root}]  {options}  ({super_options})  {propagation}")
    }
}

impl fmt::Display for MountTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mounts.iter().try_for_each(|mount| writeln!(f, "{mount}"))
    }
}

/// `/run/ostree/transient-etc.Ab12Cd/upper` with the six characters that `mkdtemp` chose made the same.
pub(crate) fn without_random_names(text: &str) -> String {
    const PREFIX: &str = "transient-etc.";
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(PREFIX) {
        out.push_str(before);
        out.push_str(PREFIX);
        let random: String = after.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        out.push_str("XXXXXX");
        rest = after.get(random.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Without options whose value depends on free memory or on file descriptors; a size that is the default is not shown at all.
fn without_numbers(options: &str) -> String {
    const VARYING: &[&str] = &["size", "nr_inodes", "fd", "pipe_ino", "pgrp"];
    let varies = |option: &&str| option.split_once('=').is_some_and(|(name, _)| VARYING.contains(&name));
    options.split(',').filter(|option| !varies(option)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_gone() {
        let table = MountTable::parse(
            b"40 1 254:0 /ostree/deploy/x/var /var rw,nosuid shared:22 master:7 - ext4 /dev/vda rw\n\
              24 1 0:5 / /dev rw shared:7 - devtmpfs udev rw,size=993484k,nr_inodes=24\n\
              41 1 0:9 / /etc rw - overlay overlay rw,upperdir=/run/ostree/transient-etc.aB3dEf/upper\n",
        );
        assert_eq!(
            table.to_string(),
            "/dev  devtmpfs udev[/]  rw  (rw)  shared:/dev\n\
             /etc  overlay overlay[/]  rw  (rw,upperdir=/run/ostree/transient-etc.XXXXXX/upper)  private\n\
             /var  ext4 /dev/vda[/ostree/deploy/x/var]  rw,nosuid  (rw)  shared:/var master:/dev\n"
        );
        assert!(table.at("/var").is_some_and(|mount| mount.has_option("nosuid") && !mount.is_read_only()));
    }
}
