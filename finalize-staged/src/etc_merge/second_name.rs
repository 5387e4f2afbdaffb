//! Second names (hard links) of files. They need no room, and stay unchanged, because the merge never writes into an existing file.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use system::copy::{self, Copier};
use system::dir::Kind;
use system::tree;

/// Makes a directory and opens it.
pub(super) fn make(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
    tree::open(parent, name)
}

/// Gives the file or directory `from_name` a second name; a file that cannot have one is copied.
pub(super) fn second_name(
    from: BorrowedFd<'_>,
    from_name: &[u8],
    to: BorrowedFd<'_>,
    to_name: &[u8],
) -> Result<(), Errno> {
    let mut copier = Copier::default();
    let mut copy = |source: BorrowedFd<'_>, name: &[u8], target: BorrowedFd<'_>, as_name: &[u8]| {
        copier.file(tree::open_file(source, name)?, target, as_name).map(drop)
    };
    match tree::look_up(from, from_name)? {
        None => Err(Errno::NOENT),
        Some(Kind::Directory) => {
            let target = make(to, to_name)?;
            copy::link_tree(tree::open(from, from_name)?.as_fd(), target.as_fd(), &mut |_, source, name, target| {
                copy(source, name, target, name)
            })
        }
        Some(Kind::Link) => copy::link(from, from_name, to, to_name).map(drop),
        Some(Kind::File | Kind::Other) => match rustix::fs::linkat(from, from_name, to, to_name, AtFlags::empty()) {
            Err(Errno::PERM | Errno::MLINK | Errno::XDEV | Errno::OPNOTSUPP) => copy(from, from_name, to, to_name),
            other => other,
        },
    }
}
