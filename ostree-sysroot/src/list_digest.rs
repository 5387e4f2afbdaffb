//! A digest of the entries that boot loaders read: two lists with the same one boot the same, in the same order.

use std::os::fd::AsFd;

use ostree_formats::deployment::Checksum;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir;
use system::{Context, SystemError};

const LOADER: &str = "loader";
/// An entry is a few lines.
const ENTRY_LIMIT: u64 = 1 << 16;
/// No menu has more entries.
const MOST: usize = 1000;

/// The active list of a `/boot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveList {
    /// `loader.0` or `loader.1`.
    pub directory: String,
    /// SHA-256 of the directory's name, and of names and contents of all files `*.conf` in `entries`.
    pub digest: Checksum,
}

/// The active list; `None`: there is none in libostree's layout.
///
/// # Errors
/// A file cannot be read, or is too large.
pub fn active(boot: impl AsFd) -> Result<Option<ActiveList>, SystemError> {
    let boot = boot.as_fd();
    let directory = match dir::read_link(boot, LOADER) {
        Ok(target) if matches!(target.as_str(), "loader.0" | "loader.1") => target,
        Ok(_) | Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error).context("read the link", "/boot/loader"),
    };
    let entries = format!("{directory}/entries");
    let names = dir::names(boot, &entries).context("list", format_args!("/boot/{entries}"))?;
    let names = || names.iter().filter(|name| name.ends_with(".conf"));
    if names().count() > MOST {
        return Err(Errno::FBIG).context("list", format_args!("/boot/{entries}"));
    }
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(bytes);
    };
    add(directory.as_bytes());
    for name in names() {
        let path = format!("{entries}/{name}");
        let content = dir::read(boot, &path, ENTRY_LIMIT).context("read", format_args!("/boot/{path}"))?;
        add(name.as_bytes());
        add(&content);
    }
    let digest = Checksum::from_bytes(&hash.finalize());
    Ok(digest.map(|digest| ActiveList { directory, digest }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn any_change_of_an_entry_is_another_list() {
        let root = tempfile::tempdir().unwrap();
        let boot = root.path();
        let now = || active(dir::open_root(boot).unwrap());
        assert_eq!(now().unwrap(), None);
        fs::create_dir_all(boot.join("loader.1/entries")).unwrap();
        symlink("loader.1", boot.join("loader")).unwrap();
        let mut seen = vec![now().unwrap().unwrap()];
        let mut changed = |what: &dyn Fn()| {
            what();
            let list = now().unwrap().unwrap();
            assert!(!seen.contains(&list), "{list:?}");
            seen.push(list);
        };
        let entry = |name: &str, text: &str| fs::write(boot.join("loader.1/entries").join(name), text).unwrap();
        changed(&|| entry("ostree-1.conf", "linux a\n"));
        changed(&|| entry("ostree-1.conf", "linux b\n"));
        changed(&|| entry("ostree-2.conf", "linux b\n"));
        changed(&|| {
            fs::rename(boot.join("loader.1/entries/ostree-2.conf"), boot.join("loader.1/entries/x.conf")).unwrap()
        });
        let before = now().unwrap();
        entry("notes", "not an entry");
        assert_eq!(now().unwrap(), before);
        entry("huge.conf", &"x".repeat(1 << 17));
        assert_eq!(now().unwrap_err().reason, Errno::FBIG);
        fs::remove_file(boot.join("loader")).unwrap();
        symlink("loader.2", boot.join("loader")).unwrap();
        assert_eq!(now().unwrap(), None);
    }
}
