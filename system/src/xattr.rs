//! Extended attributes of open files, and of symbolic links.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Names fit into this nearly always, so that most files need one call.
const USUAL: usize = 1024;

/// The names of a file's attributes, in the filesystem's order. Empty where it has none, or cannot have any.
///
/// # Errors
/// As `flistxattr(2)`.
pub fn names(fd: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let list = grow(&mut |buffer| rustix::fs::flistxattr(&fd, buffer));
    let list = match list {
        Err(Errno::OPNOTSUPP) => Vec::new(),
        other => other?,
    };
    Ok(list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}

/// The value of an attribute; `None`: it has none of that name, or its filesystem has no attributes.
///
/// # Errors
/// As `fgetxattr(2)`.
pub fn get(fd: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match require(fd, name) {
        Err(Errno::OPNOTSUPP) => Ok(None),
        other => other,
    }
}

/// The same, but a filesystem without attributes is an error.
///
/// # Errors
/// As `fgetxattr(2)`, but for `ENODATA`.
pub fn require(fd: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match grow(&mut |buffer| rustix::fs::fgetxattr(&fd, name, buffer)) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets an attribute.
///
/// # Errors
/// As `fsetxattr(2)`.
pub fn set(fd: impl AsFd, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty())
}

/// Removes an attribute.
///
/// # Errors
/// As `fremovexattr(2)`.
pub fn remove(fd: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::fremovexattr(fd, name)
}

/// The attribute that is the SELinux label.
pub const LABEL: &[u8] = b"security.selinux";

/// Whether SELinux has refused a label: its policy does not know it, or does not allow this process to set it. The file keeps the
/// label that it was made with. A label is never worth a file.
pub(crate) fn is_refused_label(attribute: &[u8], error: Errno) -> bool {
    attribute == LABEL && matches!(error, Errno::INVAL | Errno::ACCESS | Errno::PERM)
}

/// Copies the attributes that `is_wanted` selects, such as the SELinux label, from the link `from` to the symbolic link `to` in
/// `to_directory`. `false`: not possible, because `/proc` is not mounted.
///
/// # Errors
/// As `lsetxattr(2)` and the like. A filesystem or kernel that does not have such attributes is none.
pub fn copy_of_link(
    (from_directory, from): (BorrowedFd<'_>, &[u8]),
    (to_directory, to): (BorrowedFd<'_>, &[u8]),
    is_wanted: fn(&[u8]) -> bool,
) -> Result<bool, Errno> {
    let (from, to) = (path_of(from_directory, from)?, path_of(to_directory, to)?);
    let names = match grow(&mut |buffer| rustix::fs::llistxattr(from.as_c_str(), buffer)) {
        Err(Errno::OPNOTSUPP) => return Ok(true),
        Err(Errno::NOENT) => return if has_proc()? { Err(Errno::NOENT) } else { Ok(false) },
        other => other?,
    };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && is_wanted(name)) {
        let value = match grow(&mut |buffer| rustix::fs::lgetxattr(from.as_c_str(), name, buffer)) {
            Err(Errno::NODATA) => continue,
            other => other?,
        };
        match rustix::fs::lsetxattr(to.as_c_str(), name, &value, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => {}
            Err(error) if is_refused_label(name, error) => {}
            other => other?,
        }
    }
    Ok(true)
}

/// Sets an attribute of the symbolic link `name`.
///
/// # Errors
/// As `lsetxattr(2)`; `ENOENT` also if `/proc` is not mounted.
pub fn set_of_link(directory: BorrowedFd<'_>, name: &[u8], attribute: &[u8], value: &[u8]) -> Result<(), Errno> {
    rustix::fs::lsetxattr(path_of(directory, name)?.as_c_str(), attribute, value, XattrFlags::empty())
}

/// An attribute of the symbolic link `name`; `None`: it has none, or its filesystem has no attributes.
///
/// # Errors
/// As `lgetxattr(2)`; `ENOENT` also if `/proc` is not mounted.
pub fn get_of_link(directory: BorrowedFd<'_>, name: &[u8], attribute: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let path = path_of(directory, name)?;
    match grow(&mut |buffer| rustix::fs::lgetxattr(path.as_c_str(), attribute, buffer)) {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A path of a name in an open directory. Before Linux 6.13 no system call takes directory and name, and those that take a
/// descriptor do not accept one of a link.
fn path_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<CString, Errno> {
    let directory = format!("/proc/self/fd/{}/", directory.as_raw_fd());
    CString::new([directory.as_bytes(), name].concat()).map_err(|_| Errno::INVAL)
}

fn has_proc() -> Result<bool, Errno> {
    match rustix::fs::stat("/proc/self/fd") {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn grow(call: &mut dyn FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0u8; USUAL];
    match call(&mut small) {
        Ok(length) => return Ok(small.get(..length).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    // The kernel's own limit for names and for a value.
    let mut large = vec![0u8; 64 << 10];
    let length = call(&mut large)?;
    large.truncate(length);
    Ok(large)
}
