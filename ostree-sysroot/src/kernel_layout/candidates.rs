//! The kernels that are in a deployment, in `usr/lib/modules` and in the two older layouts.

use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;
use rustix::io::Errno;
use system::dir::{self, Kind};

use super::layout::{BootFile, KernelLayout, checksum_in};

const MODULES: &str = "usr/lib/modules";
/// The older layouts; only the first existing one is used.
const OLDER: [&str; 2] = ["usr/lib/ostree-boot", "boot"];

/// All kernels of a deployment.
pub(super) struct Candidates {
    /// In `usr/lib/modules`, one for each version.
    pub(super) modules: Vec<KernelLayout>,
    /// In an older layout, one for each checksum.
    pub(super) older: Vec<KernelLayout>,
    /// The names in the older layout that end in a checksum.
    older_names: Vec<String>,
}

impl Candidates {
    pub(super) fn find(deployment: BorrowedFd<'_>) -> Result<Self, Errno> {
        let (older, older_names) = older_layouts(deployment)?;
        Ok(Self { modules: in_modules(deployment)?, older, older_names })
    }

    /// The kernels that libostree may choose. It uses an older layout only if `usr/lib/modules` has no kernel, or if it has one
    /// without an initramfs and the older layout has an initramfs.
    pub(super) fn possible(&self) -> Vec<&KernelLayout> {
        let without_initramfs = self.modules.iter().any(|layout| layout.initramfs.is_none());
        let older: Vec<&KernelLayout> = self
            .older
            .iter()
            .filter(|older| self.modules.is_empty() || (without_initramfs && older.initramfs.is_some()))
            .collect();
        match self.modules.as_slice() {
            [_] if !older.is_empty() => older,
            modules => modules.iter().chain(older).collect(),
        }
    }

    /// For an older `layout` that lacks a file: such a file with the checksum of no kernel.
    pub(super) fn mismatch(&self, layout: &KernelLayout) -> Option<&String> {
        checksum_in(&layout.kernel.source)?;
        let lacking = [("initramfs-", &layout.initramfs), ("devicetree-", &layout.devicetree)];
        let of_no_kernel =
            |name: &&String| self.older.iter().all(|layout| checksum_in(&layout.kernel.source) != checksum_in(name));
        let mut lacking = lacking.into_iter().filter(|(_, file)| file.is_none());
        lacking
            .find_map(|(prefix, _)| self.older_names.iter().filter(of_no_kernel).find(|name| name.starts_with(prefix)))
    }
}

fn in_modules(deployment: BorrowedFd<'_>) -> Result<Vec<KernelLayout>, Errno> {
    let mut layouts = Vec::new();
    for version in names_if_there(deployment, MODULES)? {
        let directory = format!("{MODULES}/{version}");
        // As libostree: a link to a directory of modules is skipped.
        let opened = dir::open(deployment, &directory, OFlags::PATH | OFlags::NOFOLLOW).and_then(dir::stat_fd)?;
        if opened.kind != Kind::Directory {
            continue;
        }
        let has = |name: &str, kind: Kind| kind_of(deployment, &format!("{directory}/{name}")).map(|k| k == Some(kind));
        if !has("vmlinuz", Kind::File)? {
            continue;
        }
        let mut initramfs = None;
        for name in ["initramfs", "initramfs.img"] {
            if has(name, Kind::File)? {
                initramfs = Some(BootFile::file(name, format!("initramfs-{version}.img")));
            }
        }
        let devicetree = if has("devicetree", Kind::File)? {
            Some(BootFile::file("devicetree", format!("devicetree-{version}")))
        } else if has("dtb", Kind::Directory)? {
            Some(BootFile { source: "dtb".to_owned(), target: "dtb".to_owned(), is_directory: true })
        } else {
            None
        };
        let hmac = has(".vmlinuz.hmac", Kind::File)?
            .then(|| BootFile::file(".vmlinuz.hmac", format!(".vmlinuz-{version}.hmac")));
        let aboot = has("aboot.img", Kind::File)?.then(|| BootFile::file("aboot.img", format!("aboot-{version}.img")));
        let kernel = BootFile::file("vmlinuz", format!("vmlinuz-{version}"));
        layouts.push(KernelLayout { directory, kernel, initramfs, devicetree, hmac, aboot });
    }
    Ok(layouts)
}

/// `vmlinuz-…-BOOTCSUM` and the files with the same checksum, in the first existing one of two directories; and all names that end
/// in a checksum.
fn older_layouts(deployment: BorrowedFd<'_>) -> Result<(Vec<KernelLayout>, Vec<String>), Errno> {
    for directory in OLDER {
        let mut names = match dir::names(deployment, directory) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other?,
        };
        names.retain(|name| checksum_in(name).is_some());
        let layout = |kernel: &String| {
            let with_its_checksum = |prefix: &str| {
                let mut named = names.iter().filter(|name| name.starts_with(prefix));
                named.find(|name| checksum_in(name) == checksum_in(kernel)).map(|name| without_checksum(name))
            };
            KernelLayout {
                directory: directory.to_owned(),
                kernel: without_checksum(kernel),
                initramfs: with_its_checksum("initramfs-"),
                devicetree: with_its_checksum("devicetree-"),
                hmac: None,
                aboot: None,
            }
        };
        let kernels = names.iter().filter(|name| name.starts_with("vmlinuz-"));
        return Ok((kernels.map(layout).collect(), names));
    }
    Ok((Vec::new(), Vec::new()))
}

fn without_checksum(name: &str) -> BootFile {
    let (target, _) = name.rsplit_once('-').unwrap_or((name, ""));
    BootFile::file(name, target.to_owned())
}

fn names_if_there(deployment: BorrowedFd<'_>, directory: &str) -> Result<Vec<String>, Errno> {
    match dir::names(deployment, directory) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other,
    }
}

/// The kind of the file at a path; links are followed inside the deployment.
fn kind_of(deployment: BorrowedFd<'_>, path: &str) -> Result<Option<Kind>, Errno> {
    match dir::open(deployment, path, OFlags::PATH).and_then(dir::stat_fd) {
        Ok(stat) => Ok(Some(stat.kind)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}
