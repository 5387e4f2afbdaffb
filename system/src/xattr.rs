//! Extended attributes of open files.

use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Names fit into this nearly always, so that most files need one call.
const USUAL: usize = 1024;

/// The names of a file's attributes, in the filesystem's order. Empty where it has none, or cannot have any.
///
/// # Errors
/// As `flistxattr(2)`.
pub fn names(fd: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let list = grow(|buffer| rustix::fs::flistxattr(&fd, buffer));
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

/// The same where a filesystem that has no attributes is an error.
///
/// # Errors
/// As `fgetxattr(2)`, but for `ENODATA`.
pub fn require(fd: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    match grow(|buffer| rustix::fs::fgetxattr(&fd, name, buffer)) {
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

fn grow(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
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
