//! Variables of the firmware, as the files of efivarfs have them: four bytes of attributes, and the value.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use system::{Context, SystemError, dir};

use crate::firmware::{self, Firmware, LoadOption};

/// The vendor of systemd-boot's variables.
pub const LOADER: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The vendor of UEFI's own variables.
pub const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Where efivarfs is mounted.
pub const EFIVARS: &str = "sys/firmware/efi/efivars";
const LIMIT: u64 = 1 << 16;

/// The directory of the variables; `None`: this machine was not booted by UEFI, or efivarfs is not mounted.
///
/// # Errors
/// It cannot be opened.
pub fn open(root: BorrowedFd<'_>) -> Result<Option<OwnedFd>, SystemError> {
    match dir::open_directory(root, EFIVARS) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        other => other.map(Some).context("open", format_args!("/{EFIVARS}")),
    }
}

/// A text of the boot loader. `None`: there is no such variable, or it is no text.
///
/// # Errors
/// It cannot be read.
pub fn of_loader(root: BorrowedFd<'_>, name: &str) -> Result<Option<String>, SystemError> {
    let Some(directory) = open(root)? else { return Ok(None) };
    Ok(value(directory.as_fd(), name, LOADER)?.and_then(|value| firmware::text(&value)))
}

/// The firmware's boot options, from the directory of its variables.
///
/// # Errors
/// A variable that must be known cannot be read.
pub fn firmware(directory: BorrowedFd<'_>) -> Result<Firmware, SystemError> {
    let number =
        |name| Ok(value(directory, name, GLOBAL)?.and_then(|value| firmware::numbers(&value).first().copied()));
    let order = value(directory, "BootOrder", GLOBAL)?.map(|value| firmware::numbers(&value)).unwrap_or_default();
    let (mut options, mut numbers) = (Vec::new(), Vec::new());
    for file in dir::names(directory, ".").context("list", format_args!("/{EFIVARS}"))? {
        let name = file.strip_suffix(GLOBAL).and_then(|name| name.strip_suffix('-'));
        let Some((name, number)) = name.and_then(|name| Some((name, firmware::number(name)?))) else { continue };
        numbers.push(number);
        // One that the firmware cannot read is none that it starts.
        let value = value(directory, name, GLOBAL).unwrap_or_default();
        options.extend(value.and_then(|value| LoadOption::parse(&value)).map(|option| (number, option)));
    }
    Ok(Firmware {
        order,
        next: number("BootNext")?,
        current: number("BootCurrent")?,
        options,
        numbers,
        is_secure: is_secure(directory)?,
    })
}

/// Whether Secure Boot is on: not without UEFI, and not on a machine that does not have it.
///
/// # Errors
/// The variable cannot be read: whether an unsigned kernel would be started is not known.
pub fn is_secure_boot(root: BorrowedFd<'_>) -> Result<bool, SystemError> {
    open(root)?.map_or(Ok(false), |directory| is_secure(directory.as_fd()))
}

fn is_secure(directory: BorrowedFd<'_>) -> Result<bool, SystemError> {
    Ok(value(directory, "SecureBoot", GLOBAL)?.is_some_and(|value| value.first() == Some(&1)))
}

/// A value, without its attributes.
fn value(directory: BorrowedFd<'_>, name: &str, vendor: &str) -> Result<Option<Vec<u8>>, SystemError> {
    let file = format!("{name}-{vendor}");
    match dir::read(directory, &file, LIMIT) {
        Err(Errno::NOENT) => Ok(None),
        other => {
            let bytes = other.context("read", format_args!("/{EFIVARS}/{file}"))?;
            Ok(bytes.get(4..).map(<[u8]>::to_vec))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::{HardDrive, encode};

    #[test]
    fn variables_that_were_cut_are_read_as_far_as_they_go() {
        let directory = tempfile::tempdir().unwrap();
        let drive = HardDrive { number: 1, start: 1, size: 1, uuid: [1; 16] };
        let write = |name: &str, vendor: &str, value: &[u8]| {
            std::fs::write(directory.path().join(format!("{name}-{vendor}")), [&[7, 0, 0, 0], value].concat()).unwrap();
        };
        write("Boot0001", GLOBAL, &encode("one", &drive, "\\x"));
        write("Boot0002", GLOBAL, &encode("two", &drive, "\\x")[..20]);
        write("Boot000A", GLOBAL, &[]);
        write("Boot0003", LOADER, &encode("other", &drive, "\\x"));
        write("BootOrder", GLOBAL, &[2, 0, 1, 0, 9]);
        write("BootNext", GLOBAL, &[1]);
        write("SecureBoot", GLOBAL, &[1]);
        std::fs::write(directory.path().join(format!("BootCurrent-{GLOBAL}")), [7, 0]).unwrap();
        std::fs::write(directory.path().join("\u{e9}"), "x").unwrap();
        let opened: OwnedFd = std::fs::File::open(directory.path()).unwrap().into();
        let mut firmware = firmware(opened.as_fd()).unwrap();
        firmware.numbers.sort_unstable();
        assert_eq!((firmware.numbers.as_slice(), firmware.order.as_slice()), (&[1, 2, 10][..], &[2, 1][..]));
        assert_eq!(firmware.options.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1]);
        assert_eq!((firmware.next, firmware.current, firmware.first()), (None, None, Some(1)));
        assert!(firmware.is_secure);
    }

    #[test]
    fn a_text_that_is_none_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let variables = directory.path().join(EFIVARS);
        let root = dir::open_root(directory.path()).unwrap();
        assert_eq!(of_loader(root.as_fd(), "LoaderInfo").unwrap(), None);
        std::fs::create_dir_all(&variables).unwrap();
        for (bytes, expected) in [
            (&b"\x07\0\0\0a\0b\0\0\0x\0"[..], Some("ab")),
            (b"\x07\0\0\0a\0b", Some("a")),
            (b"\x07\0\0\0\x00\xd8a\0", None),
            (b"\x07\0", None),
        ] {
            std::fs::write(variables.join(format!("LoaderInfo-{LOADER}")), bytes).unwrap();
            assert_eq!(of_loader(root.as_fd(), "LoaderInfo").unwrap().as_deref(), expected);
        }
    }
}
