//! Reads an initramfs: which program prepares the root in it, and with which configuration.

pub(crate) mod contents;
pub(crate) mod cpio;
mod unpack;
mod xz;

use std::fs::File;
use std::io::Read;

use ostree_formats::unified_kernel::{HEAD, UnifiedKernel};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use system::tree;

pub(crate) use contents::{Contents, PrepareRoot};
pub(crate) use unpack::UnpackError;

/// Adds the files of one initramfs to those of the initramfs before it; files with the same path replace each other.
///
/// # Errors
/// It is damaged, or of an unknown kind.
pub(crate) fn read(file: impl Read, contents: &mut Contents) -> Result<(), UnpackError> {
    unpack::unpack(file, contents)
}

/// The initramfs in a kernel that is a unified image; `None`: it is another kernel.
///
/// # Errors
/// It cannot be read.
pub(crate) fn of_kernel(kernel: File) -> Result<Option<impl Read>, Errno> {
    let mut head = vec![0; HEAD];
    let count = tree::fill(&kernel, &mut head)?;
    let Some(unified) = head.get(..count).and_then(UnifiedKernel::parse) else { return Ok(None) };
    rustix::fs::seek(&kernel, SeekFrom::Start(unified.initramfs_offset))?;
    Ok(Some(kernel.take(unified.initramfs_size)))
}

/// An archive, for tests.
#[cfg(test)]
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let all = files.iter().map(|(name, content)| (*name, *content, 0o100_755));
    for (name, content, mode) in all.chain([("TRAILER!!!", "", 0)]) {
        let fields = [0, mode, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        bytes.extend_from_slice(b"070701");
        fields.iter().for_each(|field| bytes.extend_from_slice(format!("{field:08x}").as_bytes()));
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

#[cfg(test)]
mod tests;
