//! The target, below the names that are ours. Nothing in it is believed to be small, or to be what its name says.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::Checksum;
use ostree_formats::projected_entry::{ProjectedName, Token};
use ostree_sysroot::boot_names;
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use crate::target::{
    ENTRIES, Found, MAKES_ROOM, OVERLAYS, PAYLOADS, ROOM_FOR_NAMES, SUMS, SUMS_LIMIT, Sums, TEMPORARY, Target,
    TargetEntry,
};

/// A larger file is no entry.
const ENTRY_LIMIT: u64 = 64 << 10;

/// Reads the target whose root directory is `root`.
///
/// # Errors
/// A directory or a file of ours cannot be read.
pub fn target(root: impl AsFd, token: &Token) -> Result<Target, SystemError> {
    let root = root.as_fd();
    let stat = rustix::fs::fstatvfs(root).context("read the room of", "the ESP")?;
    let mut target =
        Target { cluster: stat.f_frsize, free: stat.f_bavail.saturating_mul(stat.f_frsize), ..Target::default() };
    for path in ["loader", ENTRIES, PAYLOADS, OVERLAYS] {
        let opened = dir::if_there(dir::open(root, path, OFlags::PATH | OFlags::DIRECTORY));
        let stat = opened.and_then(|opened| opened.map(dir::stat_fd).transpose()).context("open", shown(path))?;
        if stat.is_some() {
            target.directories.insert(path.to_owned());
        }
        if path != "loader" && stat.is_none_or(|stat| stat.size < ROOM_FOR_NAMES) {
            target.room_for_names += ROOM_FOR_NAMES;
        }
    }
    read_entries(&root, token, &mut target)?;
    read_payloads(&root, &mut target)?;
    Ok(target)
}

fn read_entries(root: &impl AsFd, token: &Token, target: &mut Target) -> Result<(), SystemError> {
    for (name, kind) in names(root, ENTRIES)? {
        // A backup may have come back in capitals: on a FAT these are the same names.
        let name = if name.is_ascii() { name.to_ascii_lowercase() } else { name };
        let path = format!("{ENTRIES}/{name}");
        let is_ours = name.starts_with(token.as_str()) || name.starts_with(MAKES_ROOM);
        if is_ours && name.ends_with(TEMPORARY) && kind == Kind::File {
            add_temporary(root, path, target)?;
            continue;
        }
        if kind != Kind::File || !name.to_ascii_lowercase().ends_with(".conf") {
            continue;
        }
        let bytes = match dir::read_no_link(root, &path, ENTRY_LIMIT) {
            Ok(bytes) => Some(bytes),
            Err(Errno::NOENT) => continue,
            Err(Errno::FBIG | Errno::IO) => None,
            Err(error) => return Err(error).context("read", shown(&path)),
        };
        match (name.parse::<ProjectedName>(), bytes) {
            (Ok(name), bytes) if name.token == *token => {
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                // An entry without a kernel is passed over by every boot loader.
                let text = text.filter(|text| text.lines().any(|line| line.starts_with("linux ")));
                target.entries.push(TargetEntry { name, text });
            }
            (_, Some(bytes)) => add_named_by_others(&String::from_utf8_lossy(&bytes), target),
            (_, None) => target.others_are_unread = true,
        }
    }
    target.entries.sort_by_key(|entry| entry.name.to_string());
    Ok(())
}

/// What an entry of others may mean, in lower case: FAT knows no other.
fn add_named_by_others(text: &str, target: &mut Target) {
    for word in text.split_whitespace() {
        let path = word.to_ascii_lowercase().replace('\\', "/");
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        if parts.next() != Some(PAYLOADS) {
            continue;
        }
        let mut path = PAYLOADS.to_owned();
        for part in parts {
            path.push('/');
            path.push_str(part);
            target.named_by_others.insert(path.clone());
        }
    }
}

fn add_temporary(root: &impl AsFd, path: String, target: &mut Target) -> Result<(), SystemError> {
    let stat = dir::open(root, &path, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd);
    if let Some(stat) = dir::if_there(stat).context("read the attributes of", shown(&path))? {
        target.temporaries.insert(path, stat.size);
    }
    Ok(())
}

fn read_payloads(root: &impl AsFd, target: &mut Target) -> Result<(), SystemError> {
    for (name, kind) in names(root, PAYLOADS)? {
        if kind == Kind::Directory && boot_names::is_kernel_directory(&name) {
            let path = format!("{PAYLOADS}/{name}");
            let found = directory(root, &path, target)?;
            target.payloads.insert(path, found);
        } else if kind == Kind::File && name.starts_with(MAKES_ROOM) {
            add_temporary(root, format!("{PAYLOADS}/{name}"), target)?;
        }
    }
    for (name, kind) in names(root, OVERLAYS)? {
        let path = format!("{OVERLAYS}/{name}");
        if kind == Kind::File && name.starts_with(MAKES_ROOM) {
            add_temporary(root, path, target)?;
            continue;
        }
        let stem = name.strip_suffix(TEMPORARY).unwrap_or(&name);
        if kind != Kind::File || stem.strip_suffix(".img").is_none_or(|sum| sum.parse::<Checksum>().is_err()) {
            continue;
        }
        if name.ends_with(TEMPORARY) {
            add_temporary(root, path, target)?;
            continue;
        }
        let stat = dir::open(root, &path, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd);
        if let Some(stat) = dir::if_there(stat).context("read the attributes of", shown(&path))? {
            target.payloads.insert(path, Found::File(stat.size));
        }
    }
    Ok(())
}

fn directory(root: &impl AsFd, path: &str, target: &mut Target) -> Result<Found, SystemError> {
    let opened: OwnedFd =
        dir::open(root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW).context("open", shown(path))?;
    let sums = match dir::read_no_link(&opened, SUMS, SUMS_LIMIT) {
        Ok(bytes) => Some(Sums::parse(&String::from_utf8_lossy(&bytes)).names()),
        Err(Errno::NOENT | Errno::FBIG | Errno::IO) => None,
        Err(error) => return Err(error).context("read", shown(&format!("{path}/{SUMS}"))),
    };
    let mut files = BTreeMap::new();
    let mut walk = tree::TreeWalk::new(&opened).context("list", shown(path))?;
    while let Some(entry) = walk.next_entry().context("list", shown(path))? {
        let Ok(name) = String::from_utf8(entry.path) else { continue };
        if entry.kind != Kind::File || name == SUMS {
            continue;
        }
        if name.ends_with(TEMPORARY) {
            add_temporary(root, format!("{path}/{name}"), target)?;
            continue;
        }
        let stat = dir::open(&opened, &name, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd);
        if let Some(stat) = dir::if_there(stat).context("read the attributes of", shown(&format!("{path}/{name}")))? {
            files.insert(name, stat.size);
        }
    }
    Ok(Found::Directory { sums, files })
}

/// The names in a directory, with their kinds. Nothing, if the directory is not there.
pub(super) fn names(root: &impl AsFd, path: &str) -> Result<Vec<(String, Kind)>, SystemError> {
    let opened = dir::if_there(dir::open(root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW));
    let Some(directory) = opened.context("open", shown(path))? else { return Ok(Vec::new()) };
    let entries = tree::entries(&directory).context("list", shown(path))?;
    let mut names: Vec<(String, Kind)> =
        entries.into_iter().filter_map(|(name, kind)| Some((String::from_utf8(name).ok()?, kind))).collect();
    names.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(names)
}

pub(super) fn shown(path: &str) -> String {
    format!("{path} on the ESP")
}
