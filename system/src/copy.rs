//! Copies files, links and the attributes of directories: owner, mode, extended attributes (including ACLs and capabilities), and
//! the time of the last change.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use crate::dir::{Kind, write_all};
use crate::xattr;

/// Attributes that are never copied: libostree's own, and a seal over other attributes that only the kernel can make.
const NOT_COPIED: [&[u8]; 2] = [b"user.ostreemeta", b"security.evm"];
/// Attributes that a new file inherits from its directory. It must not keep them if the source does not have them.
const INHERITED: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];

const PIECE: usize = 128 << 10;

/// Copies files one after the other, with one buffer.
#[derive(Debug)]
pub struct Copier {
    buffer: Vec<u8>,
}

impl Default for Copier {
    fn default() -> Self {
        Self { buffer: vec![0; PIECE] }
    }
}

impl Copier {
    /// Makes the file `name` in `directory`, where nothing of that name is, a copy of `source`, from its beginning. Returns
    /// whether the source stayed the same while it was read.
    ///
    /// # Errors
    /// As the system calls; then a part of the copy may exist.
    pub fn file(&mut self, source: impl AsFd, directory: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
        let source = source.as_fd();
        let before = rustix::fs::fstat(source)?;
        let target = create(directory.as_fd(), name)?;
        self.content(source, target.as_fd(), &before)?;
        attributes(source, &before, target.as_fd())?;
        let time = Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec as _ };
        rustix::fs::futimens(&target, &Timestamps { last_access: time, last_modification: time })?;
        let after = rustix::fs::fstat(source)?;
        Ok(version(&before) == version(&after))
    }

    /// Only the content, owner and mode: for filesystems that boot loaders read.
    ///
    /// # Errors
    /// As the system calls.
    pub fn plain_file(&mut self, source: impl AsFd, directory: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        let source = source.as_fd();
        let stat = rustix::fs::fstat(source)?;
        let target = create(directory.as_fd(), name)?;
        self.content(source, target.as_fd(), &stat)?;
        owner_and_mode(&stat, target.as_fd())?;
        Ok(target)
    }

    fn content(&mut self, source: BorrowedFd<'_>, target: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
        const LARGE: i64 = 1 << 20;
        // If the filesystem cannot clone, the copy below succeeds or has its own error.
        let sparse = stat.st_blocks.saturating_mul(512) < stat.st_size;
        if stat.st_size >= LARGE && !sparse && rustix::fs::ioctl_ficlone(target, source).is_ok() {
            return Ok(());
        }
        rustix::fs::seek(source, SeekFrom::Start(0))?;
        if sparse && stat.st_size >= LARGE {
            return self.pieces_between_holes(source, target, stat.st_size.unsigned_abs());
        }
        loop {
            let count = rustix::io::retry_on_intr(|| rustix::io::read(source, &mut *self.buffer))?;
            if count == 0 {
                return Ok(());
            }
            write_all(target, self.buffer.get(..count).unwrap_or_default())?;
            // At its expected size a file is complete without a further call. A file that grew is read again.
            if count < self.buffer.len() && count as u64 >= stat.st_size.unsigned_abs() && stat.st_size > 0 {
                return Ok(());
            }
        }
    }

    /// Holes stay holes: a file that has gigabytes of them must not fill the disk.
    fn pieces_between_holes(&mut self, source: BorrowedFd<'_>, target: BorrowedFd<'_>, size: u64) -> Result<(), Errno> {
        let mut at = 0;
        while at < size {
            let begin = match rustix::fs::seek(source, SeekFrom::Data(at)) {
                Ok(begin) => begin,
                // Only a hole up to the end.
                Err(Errno::NXIO) => break,
                Err(error) => return Err(error),
            };
            let end = rustix::fs::seek(source, SeekFrom::Hole(begin))?;
            rustix::fs::seek(source, SeekFrom::Start(begin))?;
            rustix::fs::seek(target, SeekFrom::Start(begin))?;
            at = begin;
            while at < end {
                let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
                let buffer = self.buffer.get_mut(..wanted).unwrap_or_default();
                let count = rustix::io::retry_on_intr(|| rustix::io::read(source, &mut *buffer))?;
                if count == 0 {
                    break;
                }
                write_all(target, buffer.get(..count).unwrap_or_default())?;
                at += count as u64;
            }
            at = at.max(end);
        }
        rustix::fs::ftruncate(target, size)
    }
}

fn create(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(0o600))
}

/// A value that changes with every change of a file.
fn version(stat: &Stat) -> (i64, i64, i64, i64) {
    (stat.st_ctime, stat.st_mtime, stat.st_ctime_nsec as i64, stat.st_size)
}

/// Gives `target` the owner and mode in `stat`.
///
/// # Errors
/// As `fchown(2)` and `fchmod(2)`.
pub fn owner_and_mode(stat: &Stat, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let own = rustix::fs::fstat(target)?;
    if (own.st_uid, own.st_gid) != (stat.st_uid, stat.st_gid) {
        rustix::fs::fchown(target, Some(uid), Some(gid))?;
    }
    // After the owner: changing that clears set-uid.
    rustix::fs::fchmod(target, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

/// Gives `target` the owner, mode and extended attributes of `source`, whose `stat` is known.
fn attributes(source: BorrowedFd<'_>, stat: &Stat, target: BorrowedFd<'_>) -> Result<(), Errno> {
    owner_and_mode(stat, target)?;
    let wanted = xattr::names(source)?;
    for name in xattr::names(target)? {
        if INHERITED.contains(&name.as_slice()) && !wanted.contains(&name) {
            xattr::remove(target, &name)?;
        }
    }
    for name in wanted.iter().filter(|name| !NOT_COPIED.contains(&name.as_slice())) {
        let Some(value) = xattr::get(source, name)? else { continue };
        match xattr::set(target, name, &value) {
            // A label of a policy that this kernel does not have loaded, or a namespace that it does not know.
            Err(Errno::OPNOTSUPP) if name.starts_with(b"security.") || name.starts_with(b"trusted.") => {}
            Err(error) if xattr::is_refused_label(name, error) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Gives the directory `target` the owner, mode and extended attributes of the directory `source`, and none that it has besides.
///
/// # Errors
/// As the system calls.
pub fn directory_attributes(source: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let (source, target) = (source.as_fd(), target.as_fd());
    let stat = rustix::fs::fstat(source)?;
    attributes(source, &stat, target)?;
    let wanted = xattr::names(source)?;
    for name in xattr::names(target)? {
        if name.starts_with(b"user.") && !wanted.contains(&name) && !NOT_COPIED.contains(&name.as_slice()) {
            xattr::remove(target, &name)?;
        }
    }
    Ok(())
}

/// Makes `to` in `to_directory`, where nothing of that name is, a copy of the symbolic link `from`, with its owner.
///
/// # Errors
/// As the system calls; `EINVAL` if `from` is not a link.
pub fn plain_link(from_directory: impl AsFd, from: &[u8], to_directory: impl AsFd, to: &[u8]) -> Result<(), Errno> {
    let stat = rustix::fs::statat(&from_directory, from, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Err(Errno::INVAL);
    }
    let target = rustix::fs::readlinkat(from_directory, from, Vec::new())?;
    rustix::fs::symlinkat(&target, &to_directory, to)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to_directory, to, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// The same with its extended attributes; `false`: without them, because `/proc` is not mounted.
///
/// # Errors
/// As [`plain_link`].
pub fn link(from_directory: impl AsFd, from: &[u8], to_directory: impl AsFd, to: &[u8]) -> Result<bool, Errno> {
    let (from_directory, to_directory) = (from_directory.as_fd(), to_directory.as_fd());
    plain_link(from_directory, from, to_directory, to)?;
    xattr::copy_of_link((from_directory, from), (to_directory, to), |name| !NOT_COPIED.contains(&name))
}

/// A callback for a file that cannot have a second name. Arguments: the reason, its directory, its name, the directory for it.
pub type Unlinkable<'a> = dyn FnMut(Errno, BorrowedFd<'_>, &[u8], BorrowedFd<'_>) -> Result<(), Errno> + 'a;

/// Gives everything in the open directory `from` a second name in the open directory `to`, which is empty. Directories and symbolic
/// links are copied, and files that cannot have a second name are passed to `unlinkable`.
///
/// # Errors
/// As `unlinkable`, [`crate::tree::directories`] and the system calls.
pub fn link_tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>, unlinkable: &mut Unlinkable<'_>) -> Result<(), Errno> {
    crate::tree::directories(from, |path, source, entries| {
        let target = crate::dir::open_plainly(to, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        directory_attributes(source, &target)?;
        for (name, kind) in entries {
            let name = name.as_slice();
            match kind {
                Kind::Directory => rustix::fs::mkdirat(&target, name, Mode::from_raw_mode(0o700))?,
                Kind::Link => {
                    link(source, name, &target, name)?;
                }
                Kind::File | Kind::Other => match rustix::fs::linkat(source, name, &target, name, AtFlags::empty()) {
                    Err(why @ (Errno::PERM | Errno::MLINK | Errno::XDEV | Errno::OPNOTSUPP)) => {
                        unlinkable(why, source, name, target.as_fd())?;
                    }
                    other => other?,
                },
            }
        }
        Ok(())
    })
}
