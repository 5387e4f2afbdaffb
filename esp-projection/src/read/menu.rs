//! The menu that systemd-boot would show: entries in files, its settings, and the names of images.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::{Context, SystemError};

use super::target::{names, shown};
use super::variables;
use crate::install::LOADER_CONF;
use crate::select::{Loader, Menu, MenuEntry, Settings};
use crate::target::ENTRIES;

/// Where unified kernel images are.
const IMAGES: &str = "EFI/Linux";
const CONF_LIMIT: u64 = 1 << 20;
const ENTRY_LIMIT: u64 = 1 << 20;

/// Reads it from the ESP whose root directory is `esp`, and from an XBOOTLDR partition if there is one; `root` has the firmware's
/// variables.
///
/// # Errors
/// A directory, `loader.conf` or a variable cannot be read.
pub fn menu(
    root: BorrowedFd<'_>,
    esp: BorrowedFd<'_>,
    xbootldr: Option<BorrowedFd<'_>>,
    loader: Loader,
) -> Result<Menu, SystemError> {
    let variable = |name| variables::of_loader(root, name);
    let mut settings = Settings {
        one_shot: variable("LoaderEntryOneShot")?,
        preferred_variable: variable("LoaderEntryPreferred")?,
        default_variable: variable("LoaderEntryDefault")?,
        last_booted: variable("LoaderEntryLastBooted")?,
        ..Settings::default()
    };
    let conf = dir::if_there(dir::read_no_link(esp, LOADER_CONF, CONF_LIMIT)).context("read", shown(LOADER_CONF))?;
    settings.read_loader_conf(&conf.unwrap_or_default());
    let mut menu = Menu { loader, entries: Vec::new(), images: Vec::new(), settings };
    for target in [Some(esp), xbootldr].into_iter().flatten() {
        add_entries(target, &mut menu)?;
        menu.images.extend(images(target)?.into_iter().map(|file| file.to_ascii_lowercase()));
    }
    Ok(menu)
}

fn add_entries(target: BorrowedFd<'_>, menu: &mut Menu) -> Result<(), SystemError> {
    for (file, _) in names(&target, ENTRIES)?.into_iter().filter(|(_, kind)| *kind == Kind::File) {
        let path = format!("{ENTRIES}/{file}");
        let bytes = match dir::read_no_link(target, &path, ENTRY_LIMIT) {
            Ok(bytes) => bytes,
            // The boot loader cannot read it either.
            Err(Errno::NOENT | Errno::FBIG | Errno::IO) => continue,
            Err(error) => return Err(error).context("read", shown(&path)),
        };
        let Some(entry) = MenuEntry::parse(&file, &bytes, &menu.loader) else { continue };
        // What it would start must be there.
        match dir::open(target, &entry.starts, OFlags::PATH) {
            Ok(_) => menu.entries.push(entry),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL | Errno::NAMETOOLONG) => {}
            Err(error) => return Err(error).context("look up", shown(&entry.starts)),
        }
    }
    Ok(())
}

/// The files of unified kernel images.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn images(target: BorrowedFd<'_>) -> Result<Vec<String>, SystemError> {
    let files = names(&target.as_fd(), IMAGES)?.into_iter().filter(|(_, kind)| *kind == Kind::File);
    Ok(files.map(|(file, _)| file).filter(|file| file.to_ascii_lowercase().ends_with(".efi")).collect())
}

/// The path of one.
pub(super) fn image_path(file: &str) -> String {
    format!("{IMAGES}/{file}")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::select::{Chosen, choose};

    #[test]
    fn only_what_the_boot_loader_would_show_is_in_the_menu() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("kernel", b"x");
        write("loader/loader.conf", b"\xff\xfe\ndefault b*\n");
        write("loader/entries/a.conf", b"linux /kernel\n");
        write("loader/entries/b1+3-0.conf", b"title \xff\nlinux \\kernel\n");
        write("loader/entries/b2.conf", b"linux /gone\n");
        write("loader/entries/b3.conf", b"");
        write("EFI/Linux/Fedora.EFI", b"MZ");
        let name = OsStr::from_bytes(b"b9\xff.conf");
        std::fs::write(directory.path().join("loader/entries").join(name), "linux /kernel\n").unwrap();
        let root = dir::open_root(directory.path()).unwrap();
        let menu = menu(root.as_fd(), root.as_fd(), None, Loader::default()).unwrap();
        let files: Vec<&str> = menu.entries.iter().map(|entry| entry.file.as_str()).collect();
        assert_eq!(
            (files.as_slice(), menu.images.as_slice()),
            (&["a.conf", "b1+3-0.conf"][..], &["fedora.efi".to_owned()][..])
        );
        let choice = choose(&menu).unwrap();
        assert!(matches!(choice.chosen, Chosen::Entry(entry) if entry.id == "b1.conf"));
        // The entries of an XBOOTLDR partition are in the same menu; its loader.conf is not read.
        let other = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(other.path().join("loader/entries")).unwrap();
        std::fs::write(other.path().join("loader/entries/b5.conf"), "linux /kernel\n").unwrap();
        std::fs::write(other.path().join("loader/loader.conf"), "default a*\n").unwrap();
        std::fs::write(other.path().join("kernel"), "x").unwrap();
        let xbootldr = dir::open_root(other.path()).unwrap();
        let menu = super::menu(root.as_fd(), root.as_fd(), Some(xbootldr.as_fd()), Loader::default()).unwrap();
        assert_eq!(menu.entries.len(), 3);
        let choice = choose(&menu).unwrap();
        assert!(matches!(choice.chosen, Chosen::Entry(entry) if entry.id == "b5.conf"), "{choice:?}");
        // What cannot be read is not taken for what is not there.
        write("loader/loader.conf", &vec![b'x'; (1 << 20) + 1]);
        assert!(super::menu(root.as_fd(), root.as_fd(), None, Loader::default()).is_err());
    }
}
