//! The mount table in a form that can be compared: no ids, no device numbers, no random names.

use std::path::Path;

use anyhow::{Context, Result};
use ostree_formats::mountinfo::{self, MountEntry};

/// The mounts at and below `root`, sorted, one a line: where, of what, how.
pub fn mount_table(root: &Path) -> Result<String> {
    // Of this thread: it has a mount namespace of its own.
    let bytes = std::fs::read("/proc/thread-self/mountinfo").context("reading the mount table")?;
    let mut lines: Vec<String> =
        mountinfo::parse(&bytes).iter().filter(|mount| mount.target.starts_with(root)).map(line).collect();
    lines.sort();
    Ok(lines.join("\n"))
}

fn line(mount: &MountEntry) -> String {
    let propagation: Vec<&str> = mount.propagation.iter().filter_map(|p| p.split(':').next()).collect();
    let tells = |option: &&str| ["dir=", "dir+=", "metacopy=", "verity="].iter().any(|name| option.contains(name));
    let layers = mount.super_options.split(',').filter(tells).map(normal);
    let layers: Vec<String> = layers.collect();
    format!(
        "{} {}{} of {} {} [{}] {}",
        mount.target.display(),
        mount.fstype,
        if mount.source == "composefs" { " composefs" } else { "" },
        mount.root.display(),
        mount.options,
        propagation.join(" "),
        layers.join(" "),
    )
    .trim_end()
    .to_owned()
}

/// The directory of a transient `/etc` has a random name.
fn normal(option: &str) -> String {
    match option.split_once("/transient-etc.") {
        Some((before, after)) => {
            format!("{before}/transient-etc.XXXXXX{}", after.get(6..).unwrap_or_default())
        }
        None => option.to_owned(),
    }
}
