//! Which kernel a deployment has, as the checksum that names it in boot links and in `/boot`.
//!
//! Only asked when a boot link is missing: it reads whole kernels and initramfs.

use std::os::fd::BorrowedFd;

use ostree_formats::bootlink::Bootcsum;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir::{self, Kind};

/// Whether a deployment's kernel, initramfs and device tree have this checksum.
pub(crate) fn has_bootcsum(deployment: BorrowedFd<'_>, bootcsum: &Bootcsum) -> bool {
    in_modules(deployment, bootcsum) || in_older_layouts(deployment, bootcsum)
}

/// `usr/lib/modules/KVER/{vmlinuz,initramfs.img,devicetree}`: hashed in that order.
fn in_modules(deployment: BorrowedFd<'_>, bootcsum: &Bootcsum) -> bool {
    let versions = dir::names(deployment, "usr/lib/modules").unwrap_or_default();
    versions.iter().any(|version| {
        let directory = format!("usr/lib/modules/{version}");
        checksum(deployment, &directory).is_ok_and(|sum| sum == bootcsum.as_str())
    })
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
fn in_older_layouts(deployment: BorrowedFd<'_>, bootcsum: &Bootcsum) -> bool {
    ["usr/lib/ostree-boot", "boot"].iter().any(|directory| {
        let names = dir::names(deployment, directory).unwrap_or_default();
        names.iter().any(|name| name.starts_with("vmlinuz-") && name.ends_with(&format!("-{bootcsum}")))
    })
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
            _ => add_file(hash, root, &path)?,
        }
    }
    Ok(())
}
