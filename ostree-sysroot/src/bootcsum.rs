//! The bootcsum: SHA-256 over the kernel, the initramfs and the device trees of a deployment, as libostree computes it.
//!
//! Of a directory `dtb` it contains the contents of the files, but neither names nor modes. A link is replaced by the file that it
//! leads to; a dangling link is skipped. libostree deploys no tree with a link to a directory, or to itself, among its device
//! trees, so those are errors here.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_formats::deployment::hexadecimal;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use system::dir::{self, Kind};
use system::tree::{self, TreeWalk};
use system::{Context, SystemError};

use crate::kernel_layout::layout::{KernelLayout, checksum_in};

const PIECE: usize = 256 << 10;

/// The digits of the bootcsum of `layout`, which was found in `deployment`. Older layouts have it in the names of their files, so
/// no file is read.
///
/// # Errors
/// A file cannot be read, with its path in the deployment: `EISDIR` for a link to a directory, `EINVAL` for a device, fifo or
/// socket.
pub fn of(deployment: impl AsFd, layout: &KernelLayout) -> Result<String, SystemError> {
    if let Some(named) = checksum_in(&layout.kernel.source) {
        return Ok(named.to_string());
    }
    let mut hasher = Hasher { deployment: deployment.as_fd(), hash: Sha256::new(), buffer: vec![0; PIECE] };
    for file in layout.hashed() {
        let path = format!("{}/{}", layout.directory, file.source);
        if file.is_directory { hasher.add_directory(&path) } else { hasher.add_file(path.as_bytes()) }?;
    }
    Ok(hexadecimal(&hasher.hash.finalize()))
}

/// An absolute link among the device trees, as a path in the deployment. libostree resolves it in the running system, so
/// libostree's bootcsum of the tree may differ.
///
/// # Errors
/// A directory or link cannot be read, with its path in the deployment.
pub fn absolute_link(deployment: BorrowedFd<'_>, layout: &KernelLayout) -> Result<Option<Box<str>>, SystemError> {
    for directory in layout.hashed().filter(|file| file.is_directory) {
        let path = format!("{}/{}", layout.directory, directory.source);
        let mut walk = dir::open_directory(deployment, &path).and_then(TreeWalk::new).context("open", &path)?;
        while let Some(entry) = walk.next_entry().context("list", &path)? {
            if entry.kind != Kind::Link {
                continue;
            }
            let link = [path.as_bytes(), b"/", &entry.path].concat();
            let shown = String::from_utf8_lossy(&link);
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            let target =
                dir::open(deployment, OsStr::from_bytes(&link), flags).and_then(|link| dir::read_link(link, ""));
            if target.context("read the link", &shown)?.starts_with('/') {
                return Ok(Some(shown.into()));
            }
        }
    }
    Ok(None)
}

struct Hasher<'a> {
    deployment: BorrowedFd<'a>,
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Hasher<'_> {
    fn add_directory(&mut self, path: &str) -> Result<(), SystemError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let walk = dir::open(self.deployment, path, flags).and_then(TreeWalk::new);
        let mut walk = walk.context("open", path)?;
        while let Some(entry) = walk.next_entry().context("list", path)? {
            if entry.kind == Kind::Directory {
                continue;
            }
            let file = [path.as_bytes(), b"/", &entry.path].concat();
            match self.add_file(&file) {
                Err(error) if entry.kind == Kind::Link && error.reason == Errno::NOENT => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Adds the file at a path in the deployment; links are followed inside the deployment.
    fn add_file(&mut self, path: &[u8]) -> Result<(), SystemError> {
        self.read_file(path).context("read", String::from_utf8_lossy(path))
    }

    fn read_file(&mut self, path: &[u8]) -> Result<(), Errno> {
        // A fifo in this place must not make the boot wait.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = dir::open(self.deployment, OsStr::from_bytes(path), flags)?;
        match dir::stat_fd(&file)?.kind {
            Kind::File => {}
            Kind::Directory => return Err(Errno::ISDIR),
            Kind::Link | Kind::Other => return Err(Errno::INVAL),
        }
        loop {
            let count = tree::fill(&file, &mut self.buffer)?;
            self.hash.update(self.buffer.get(..count).unwrap_or_default());
            if count < self.buffer.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use crate::kernel_layout;

    const MODULES: &str = "usr/lib/modules/6.1";

    fn with_dtb(make: impl FnOnce(&Path)) -> Result<String, SystemError> {
        let root = tempfile::tempdir().unwrap();
        let modules = root.path().join(MODULES);
        fs::create_dir_all(modules.join("dtb")).unwrap();
        fs::write(modules.join("vmlinuz"), "kernel").unwrap();
        make(&modules.join("dtb"));
        let deployment = fs::File::open(root.path()).unwrap();
        let path = format!("ostree/deploy/os/deploy/{}.0", "a".repeat(64)).parse().unwrap();
        let layout = kernel_layout::find(&deployment, &path, None).unwrap();
        of(&deployment, &layout)
    }

    fn sum(contents: &[&str]) -> String {
        hexadecimal(&Sha256::digest(contents.concat()))
    }

    #[test]
    fn links_count_as_the_files_that_they_lead_to() {
        let found = with_dtb(|dtb| {
            fs::write(dtb.join("b"), "b").unwrap();
            symlink("b", dtb.join("a")).unwrap();
            symlink("missing", dtb.join("c")).unwrap();
            // Not clamped to the directory that it is in: it leads out of `dtb`.
            symlink("../vmlinuz", dtb.join("d")).unwrap();
            fs::create_dir(dtb.join("sub")).unwrap();
            symlink("../../../6.1/vmlinuz", dtb.join("sub/e")).unwrap();
            symlink(format!("/{MODULES}/dtb/b"), dtb.join("sub/f")).unwrap();
        });
        assert_eq!(found.unwrap(), sum(&["kernel", "b", "b", "kernel", "kernel", "b"]));
    }

    #[test]
    fn links_to_directories_and_loops_are_errors() {
        for (target, reason) in [(".", Errno::ISDIR), ("x", Errno::LOOP), ("..", Errno::ISDIR), ("/", Errno::ISDIR)] {
            let error = with_dtb(|dtb| symlink(target, dtb.join("x")).unwrap()).unwrap_err();
            assert_eq!((error.reason, error.object), (reason, format!("{MODULES}/dtb/x").into()), "{target}");
        }
    }

    #[test]
    fn two_thousand_directories_deep_and_five_thousand_files() {
        let found = with_dtb(|dtb| {
            for number in 0..5000 {
                fs::write(dtb.join(format!("{number:05}")), format!("{number:05}")).unwrap();
            }
            let mut here = fs::File::open(dtb).unwrap();
            for _ in 0..2000 {
                rustix::fs::mkdirat(&here, "d", 0o755.into()).unwrap();
                here = fs::File::from(system::dir::open(&here, "d", OFlags::RDONLY).unwrap());
            }
        });
        let contents: String = (0..5000).map(|number| format!("{number:05}")).collect();
        assert_eq!(found.unwrap(), sum(&["kernel", &contents]));
    }
}
