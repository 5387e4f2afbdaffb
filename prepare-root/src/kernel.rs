//! Which kernel a deployment has, as the checksum that names it in boot links and in `/boot`.
//!
//! Only asked when a boot link is missing: it reads whole kernels and initramfs.

use std::os::fd::BorrowedFd;

use ostree_formats::bootlink::Bootcsum;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir::{self, Kind};

/// Whether a deployment's kernel, initramfs and device tree have this checksum. An error means that nobody knows.
pub(crate) fn has_bootcsum(deployment: BorrowedFd<'_>, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    Ok(in_modules(deployment, bootcsum)? || in_older_layouts(deployment, bootcsum)?)
}

/// `usr/lib/modules/KVER/{vmlinuz,initramfs.img,devicetree}`: hashed in that order.
fn in_modules(deployment: BorrowedFd<'_>, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    for version in names_if_there(deployment, "usr/lib/modules")? {
        match checksum(deployment, &format!("usr/lib/modules/{version}")) {
            Ok(sum) if sum == bootcsum.as_str() => return Ok(true),
            // Modules without a kernel; a file beside the directories.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn names_if_there(deployment: BorrowedFd<'_>, directory: &str) -> Result<Vec<String>, Errno> {
    match dir::names(deployment, directory) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other,
    }
}

fn checksum(deployment: BorrowedFd<'_>, directory: &str) -> Result<String, Errno> {
    let mut hash = Sha256::new();
    add_file(&mut hash, deployment, &format!("{directory}/vmlinuz"))?;
    if !add_if_there(&mut hash, deployment, &format!("{directory}/initramfs.img"))? {
        add_if_there(&mut hash, deployment, &format!("{directory}/initramfs"))?;
    }
    if !add_if_there(&mut hash, deployment, &format!("{directory}/devicetree"))? {
        add_directory(&mut hash, deployment, &format!("{directory}/dtb"), 0)?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `vmlinuz-…-BOOTCSUM` in `usr/lib/ostree-boot` or `boot`: the name says it.
fn in_older_layouts(deployment: BorrowedFd<'_>, bootcsum: &Bootcsum) -> Result<bool, Errno> {
    let end = format!("-{bootcsum}");
    for directory in ["usr/lib/ostree-boot", "boot"] {
        let names = names_if_there(deployment, directory)?;
        if names.iter().any(|name| name.starts_with("vmlinuz-") && name.ends_with(&end)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn add_if_there(hash: &mut Sha256, root: BorrowedFd<'_>, path: &str) -> Result<bool, Errno> {
    match add_file(hash, root, path) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn add_file(hash: &mut Sha256, root: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    // A fifo in this place must not make the boot wait.
    let file = dir::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    if dir::stat_fd(&file)?.kind != Kind::File {
        return Err(Errno::INVAL);
    }
    let mut buffer = vec![0; 128 << 10];
    loop {
        match rustix::io::retry_on_intr(|| rustix::io::read(&file, buffer.as_mut_slice()))? {
            0 => return Ok(()),
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// Contents only, recursively, names sorted. `depth` bounds what a damaged disk can make of it.
fn add_directory(hash: &mut Sha256, root: BorrowedFd<'_>, path: &str, depth: u8) -> Result<(), Errno> {
    const DEEPEST: u8 = 16;
    let names = match dir::names(root, path) {
        Ok(names) => names,
        Err(Errno::NOENT) if depth == 0 => return Ok(()),
        Err(error) => return Err(error),
    };
    for name in names {
        let path = format!("{path}/{name}");
        match dir::stat_fd(dir::open(root, &path, OFlags::PATH | OFlags::NOFOLLOW)?)?.kind {
            Kind::Directory if depth < DEEPEST => add_directory(hash, root, &path, depth + 1)?,
            Kind::Directory => return Err(Errno::LOOP),
            // A link that leads nowhere is passed over by libostree, too.
            _ => drop(add_if_there(hash, root, &path)?),
        }
    }
    Ok(())
}
