//! `SHA256SUMS` of a payload on the target.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use system::{Context, SystemError, dir};

use super::directory::{open_directory, shown};
use super::file;
use crate::target::{SUMS, SUMS_LIMIT, Sums};

/// What is complete in the directory `path`. Of a list that is damaged nothing is known.
pub(super) fn read(target: BorrowedFd<'_>, path: &str) -> Result<Sums, SystemError> {
    match dir::read_no_link(open_directory(target, path)?, SUMS, SUMS_LIMIT) {
        Ok(bytes) => Ok(Sums::parse(&String::from_utf8_lossy(&bytes))),
        Err(Errno::NOENT | Errno::FBIG | Errno::IO) => Ok(Sums::default()),
        Err(error) => Err(error).context("read", shown(&format!("{path}/{SUMS}"))),
    }
}

/// Says what is complete in the directory `path`.
pub(super) fn write(target: BorrowedFd<'_>, path: &str, sums: &Sums) -> Result<(), SystemError> {
    let directory = open_directory(target, path)?;
    file::write(&directory, SUMS, sums.to_string().as_bytes()).context("write", shown(&format!("{path}/{SUMS}")))
}
