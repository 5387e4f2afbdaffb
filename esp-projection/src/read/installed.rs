//! systemd-boot: in the booted tree, and on the ESP.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use ostree_formats::projected_entry::{ProjectedName, Token};
use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use super::menu::{image_path, images};
use super::target::{names, shown};
use crate::install::{ENTRIES_SREL, Found, LOADER_CONF, PROGRAMS, Program, Record, sum};
use crate::select::info_in;
use crate::target::ENTRIES;

/// Where packages put it.
const IN_TREE: &str = "usr/lib/systemd/boot/efi";
/// The kernel says that a file of sysfs has a page.
const SYSFS_LIMIT: u64 = 1 << 16;
/// A larger file is no boot loader.
const LIMIT: u64 = 16 << 20;

/// What is on the ESP.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// What `install` has written.
    pub record: Record,
    /// Files that it would write.
    pub files: Vec<(String, Found)>,
    /// Directories that are there.
    pub directories: BTreeSet<String>,
    /// Entries and images of others.
    pub others: Vec<String>,
    /// There is a file that the firmware starts where an option names only a disk.
    pub has_fallback: bool,
}

/// The name of the firmware's architecture in names of files: `x64`.
///
/// # Errors
/// sysfs cannot be read.
pub fn architecture(root: BorrowedFd<'_>) -> Result<&'static str, SystemError> {
    const PATH: &str = "sys/firmware/efi/fw_platform_size";
    let bits = match dir::read(root, PATH, SYSFS_LIMIT) {
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        other => Some(other.context("read", format_args!("/{PATH}"))?),
    };
    let is_32 = bits.is_some_and(|bits| bits.trim_ascii() == b"32");
    Ok(match std::env::consts::ARCH {
        // Such a firmware may start a kernel of 64 bits.
        "x86_64" if is_32 => "ia32",
        "x86_64" => "x64",
        "x86" => "ia32",
        "aarch64" => "aa64",
        "arm" => "arm",
        "riscv64" => "riscv64",
        "loongarch64" => "loongarch64",
        other => other,
    })
}

/// The name of systemd-boot's file.
pub fn program_name(architecture: &str) -> String {
    format!("systemd-boot{architecture}.efi")
}

/// systemd-boot of the tree whose root is `root`; `None`: it has none. With Secure Boot the one with a signature counts, if there is one.
///
/// # Errors
/// It cannot be read.
pub fn program(root: BorrowedFd<'_>, architecture: &str, is_secure: bool) -> Result<Option<Program>, SystemError> {
    let name = program_name(architecture);
    for is_signed in [is_secure, !is_secure] {
        let path = format!("{IN_TREE}/{name}{}", if is_signed { ".signed" } else { "" });
        match dir::read(root, &path, LIMIT) {
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            other => {
                let content = other.context("read", format_args!("/{path}"))?;
                return Ok(Some(Program { name, content, is_signed }));
            }
        }
    }
    Ok(None)
}

/// What systemd-boot on the ESP says of itself; `None`: it is not there.
///
/// # Errors
/// It cannot be read.
pub fn info(target: BorrowedFd<'_>, name: &str) -> Result<Option<String>, SystemError> {
    let path = format!("{PROGRAMS}/{name}");
    let bytes = dir::if_there(dir::read_no_link(target, &path, LIMIT)).context("read", shown(&path))?;
    Ok(bytes.and_then(|bytes| info_in(&bytes)))
}

/// Reads what matters for `install` and `uninstall` from the ESP whose root directory is `target`.
///
/// # Errors
/// A file or a directory cannot be read.
pub fn installed(target: BorrowedFd<'_>, token: &Token, program: &Program) -> Result<Installed, SystemError> {
    let read = |path: &str| dir::if_there(dir::read_no_link(target, path, LIMIT)).context("read", shown(path));
    let mut found = Installed::default();
    if let Some(bytes) = read(&Record::path(token))? {
        found.record = Record::parse(&String::from_utf8_lossy(&bytes));
    }
    for path in [program.path().as_str(), LOADER_CONF, ENTRIES_SREL] {
        if let Some(bytes) = read(path)? {
            found.files.push((path.to_owned(), Found { sum: sum(&bytes), info: info_in(&bytes) }));
        }
    }
    for path in ["EFI", PROGRAMS, "loader", ENTRIES] {
        let opened = dir::if_there(dir::open(target, path, OFlags::PATH | OFlags::DIRECTORY));
        if opened.context("open", shown(path))?.is_some() {
            found.directories.insert(path.to_owned());
        }
    }
    let fallback = program.fallback();
    let opened = dir::if_there(dir::open(target, &fallback, OFlags::PATH)).context("open", shown(&fallback))?;
    found.has_fallback = opened.is_some();
    let is_other =
        |name: &str| name.parse::<ProjectedName>().map_or(name.ends_with(".conf"), |name| name.token != *token);
    let entries = names(&target, ENTRIES)?.into_iter().filter(|(name, kind)| *kind == Kind::File && is_other(name));
    found.others.extend(entries.map(|(name, _)| format!("{ENTRIES}/{name}")));
    found.others.extend(images(target)?.iter().map(|name| image_path(name)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn write(root: &std::path::Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn the_program_of_the_tree_is_the_one_that_the_firmware_starts() {
        let directory = tempfile::tempdir().unwrap();
        let root = dir::open_root(directory.path()).unwrap();
        let program = |is_secure| program(root.as_fd(), "x64", is_secure).unwrap();
        assert_eq!(program(false), None);
        write(directory.path(), "usr/lib/systemd/boot/efi/systemd-bootx64.efi", b"plain");
        assert!(!program(true).unwrap().is_signed);
        write(directory.path(), "usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed", b"signed");
        assert_eq!(program(true).unwrap().content, b"signed");
        assert_eq!(program(false).unwrap().content, b"plain");
        // The kernel's file says that it has a page.
        write(directory.path(), "sys/firmware/efi/fw_platform_size", &[&b"32\n"[..], &[b'\n'; 4093]].concat());
        let expected = if cfg!(target_arch = "x86_64") { "ia32" } else { architecture(root.as_fd()).unwrap() };
        assert_eq!(architecture(root.as_fd()).unwrap(), expected);
    }

    #[test]
    fn what_is_on_the_esp_is_told_apart_from_what_others_have_there() {
        let directory = tempfile::tempdir().unwrap();
        let token = Token::from_hash([7; 4]);
        let name = "systemd-bootx64.efi".to_owned();
        let program = Program { name, content: Vec::new(), is_signed: false };
        let mut record = Record::default();
        record.add(LOADER_CONF, &sum(b"timeout 3\n"));
        for (path, bytes) in [
            (Record::path(&token).as_str(), record.to_text().as_bytes()),
            (LOADER_CONF, b"timeout 3\n"),
            (program.path().as_str(), b"#### LoaderInfo: systemd-boot 262 ####"),
            ("loader/entries/ostree-07070707-000001-aaaaaaaaaaaa.0.conf", b"linux /x\n"),
            ("loader/entries/ostree-08080808-000001-aaaaaaaaaaaa.0.conf", b"linux /x\n"),
            ("loader/entries/arch.conf", b"linux /x\n"),
            ("EFI/Linux/fedora.efi", b"MZ"),
        ] {
            write(directory.path(), path, bytes);
        }
        let root = dir::open_root(directory.path()).unwrap();
        let found = installed(root.as_fd(), &token, &program).unwrap();
        let others =
            ["arch.conf", "ostree-08080808-000001-aaaaaaaaaaaa.0.conf"].map(|name| format!("{ENTRIES}/{name}"));
        assert_eq!(found.others, [&others[..], &["EFI/Linux/fedora.efi".to_owned()]].concat());
        assert!(found.record.has(LOADER_CONF, &sum(b"timeout 3\n")) && !found.record.has(LOADER_CONF, &sum(b"x")));
        assert_eq!(found.files.first().map(|(_, found)| found.info.as_deref()), Some(Some("systemd-boot 262")));
        assert!(!found.has_fallback);
        write(directory.path(), "EFI/BOOT/BOOTX64.EFI", b"MZ");
        assert!(installed(root.as_fd(), &token, &program).unwrap().has_fallback);
        assert_eq!(info(root.as_fd(), &program.name).unwrap().as_deref(), Some("systemd-boot 262"));
    }
}
