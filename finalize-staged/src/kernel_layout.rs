//! What a deployment boots with, and the names that it gets in `/boot`.

use std::os::fd::{AsFd, OwnedFd};

use ostree_formats::deployment::{Checksum, DeploymentPath};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::Serialize;
use sha2::{Digest, Sha256};
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use crate::deployment::{self, Deployment};
use crate::error::Error;
use crate::roots::Roots;

/// A file, or a directory tree, that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BootFile {
    /// Its name in the tree, in [`KernelLayout::directory`].
    pub(crate) source: String,
    /// Its name in `/boot/ostree/STATEROOT-BOOTCSUM`.
    pub(crate) target: String,
    /// A directory with all that is in it.
    pub(crate) is_directory: bool,
}

impl BootFile {
    fn file(source: &str, target: String) -> Self {
        Self { source: source.to_owned(), target, is_directory: false }
    }
}

/// Kernel, initramfs and what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct KernelLayout {
    /// Where they are in the tree.
    pub(crate) directory: String,
    /// The kernel.
    pub(crate) kernel: BootFile,
    /// The initramfs, where there is one.
    pub(crate) initramfs: Option<BootFile>,
    /// One device tree, or a directory `dtb` of many.
    pub(crate) devicetree: Option<BootFile>,
    /// The checksum file that a FIPS kernel wants beside it.
    pub(crate) hmac: Option<BootFile>,
    /// The image of an Android boot loader.
    pub(crate) aboot: Option<BootFile>,
}

impl KernelLayout {
    /// All that is installed.
    pub(crate) fn files(&self) -> impl Iterator<Item = &BootFile> {
        let optional = [&self.initramfs, &self.devicetree, &self.hmac, &self.aboot];
        std::iter::once(&self.kernel).chain(optional.into_iter().flatten())
    }

    /// What the bootcsum is made of, in that order.
    pub(crate) fn hashed(&self) -> impl Iterator<Item = &BootFile> {
        std::iter::once(&self.kernel).chain([&self.initramfs, &self.devicetree].into_iter().flatten())
    }
}

/// Finds the kernel of a deployment: in `usr/lib/modules`, or in one of the older layouts, which also win when only they have an
/// initramfs.
pub(crate) fn find(deployment: impl AsFd, path: &DeploymentPath) -> Result<KernelLayout, Error> {
    let deployment = deployment.as_fd();
    let modules = in_modules(deployment).context("look for a kernel in", format_args!("/{path}"))?;
    let older = older_layout(deployment, path)?;
    match (modules, older) {
        (Some(modules), Some(older)) if modules.initramfs.is_none() && older.initramfs.is_some() => Ok(older),
        (Some(layout), _) | (None, Some(layout)) => Ok(layout),
        (None, None) => Err(Error::NoKernel(path.clone())),
    }
}

fn in_modules(deployment: impl AsFd + Copy) -> Result<Option<KernelLayout>, Errno> {
    const MODULES: &str = "usr/lib/modules";
    for version in names_if_there(deployment, MODULES)? {
        let directory = format!("{MODULES}/{version}");
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
        return Ok(Some(KernelLayout { directory, kernel, initramfs, devicetree, hmac, aboot }));
    }
    Ok(None)
}

/// `vmlinuz-…-BOOTCSUM` and the like, in the first of two directories that is there.
fn older_layout(deployment: impl AsFd + Copy, path: &DeploymentPath) -> Result<Option<KernelLayout>, Error> {
    for directory in ["usr/lib/ostree-boot", "boot"] {
        let names = match dir::names(deployment, directory) {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            other => other.context("list", format_args!("/{path}/{directory}"))?,
        };
        let named = |prefix: &str| {
            let with_checksum = |name: &&String| name.starts_with(prefix) && checksum_in(name).is_some();
            names.iter().find(with_checksum).map(|name| {
                let (target, _) = name.rsplit_once('-').unwrap_or((name, ""));
                BootFile::file(name, target.to_owned())
            })
        };
        let Some(kernel) = named("vmlinuz-") else { return Ok(None) };
        let (initramfs, devicetree) = (named("initramfs-"), named("devicetree-"));
        for other in [&initramfs, &devicetree].into_iter().flatten() {
            if checksum_in(&kernel.source) != checksum_in(&other.source) {
                let (deployment, one, other) = (path.clone(), kernel.source.clone(), other.source.clone());
                return Err(Error::KernelMismatch { deployment, one, other });
            }
        }
        let directory = directory.to_owned();
        return Ok(Some(KernelLayout { directory, kernel, initramfs, devicetree, hmac: None, aboot: None }));
    }
    Ok(None)
}

/// The checksum at the end of a name in an older layout.
pub(crate) fn checksum_in(name: &str) -> Option<Checksum> {
    name.rsplit_once('-')?.1.parse().ok()
}

fn names_if_there(deployment: impl AsFd, directory: &str) -> Result<Vec<String>, Errno> {
    match dir::names(deployment, directory) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
        other => other,
    }
}

/// What a path is, links followed inside the deployment.
fn kind_of(deployment: impl AsFd, path: &str) -> Result<Option<Kind>, Errno> {
    match dir::open(deployment, path, OFlags::PATH).and_then(dir::stat_fd) {
        Ok(stat) => Ok(Some(stat.kind)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a deployment's kernel and initramfs are those that its bootcsum promises.
pub(crate) fn check(source: &OwnedFd, deployment: &Deployment, kernel: &KernelLayout) -> Result<(), Error> {
    // Older layouts have the checksum in their names, whatever it was made from.
    if checksum_in(&kernel.kernel.source).is_some() {
        return Ok(());
    }
    let mut hash = Sha256::new();
    for file in kernel.hashed() {
        let shown = format_args!("/{}/{}/{}", deployment.path, kernel.directory, file.source);
        add(&mut hash, source, &file.source).context("read", shown)?;
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == deployment.bootcsum.as_str() {
        return Ok(());
    }
    let wanted = deployment.bootcsum.to_string();
    Err(Error::KernelDamaged { deployment: deployment.path.clone(), found, wanted })
}

/// Of a directory the contents alone, recursively, names sorted.
fn add(hash: &mut Sha256, directory: &OwnedFd, name: &str) -> Result<(), Errno> {
    let opened = dir::open(directory, name, OFlags::RDONLY | OFlags::NONBLOCK)?;
    if dir::stat_fd(&opened)?.kind == Kind::Directory {
        return dir::names(&opened, ".")?.iter().try_for_each(|name| add(hash, &opened, name));
    }
    let mut buffer = vec![0; 256 << 10];
    loop {
        match tree::fill(&opened, &mut buffer)? {
            0 => return Ok(()),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// Opens the directory of a deployment that the files of `layout` are in.
pub(crate) fn open_directory(
    roots: &Roots,
    deployment: &DeploymentPath,
    layout: &KernelLayout,
) -> Result<OwnedFd, SystemError> {
    let (opened, directory) = (deployment::open(roots, deployment)?, &layout.directory);
    dir::open(opened, directory, OFlags::RDONLY | OFlags::DIRECTORY)
        .context("open", format_args!("/{deployment}/{directory}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const SUM: &str = "5e1f1e7a4b0c5b0b7a0f2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a6978";

    fn found(files: &[&str]) -> Result<KernelLayout, String> {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
            fs::write(path, "").unwrap();
        }
        let path = format!("ostree/deploy/os/deploy/{SUM}.0").parse().unwrap();
        find(fs::File::open(root.path()).unwrap(), &path).map_err(|error| error.to_string())
    }

    fn targets(files: &[&str]) -> Vec<String> {
        found(files).unwrap().files().map(|file| file.target.clone()).collect()
    }

    #[test]
    fn modules_with_everything() {
        let all = ["vmlinuz", "initramfs.img", "devicetree", ".vmlinuz.hmac", "aboot.img"];
        let all: Vec<String> = all.iter().map(|name| format!("usr/lib/modules/6.1/{name}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(
            targets(&all),
            ["vmlinuz-6.1", "initramfs-6.1.img", "devicetree-6.1", ".vmlinuz-6.1.hmac", "aboot-6.1.img"]
        );
    }

    #[test]
    fn a_directory_without_a_kernel_is_passed_over() {
        let files = ["usr/lib/modules/5.1/modules.dep", "usr/lib/modules/6.1/vmlinuz", "usr/lib/modules/6.1/dtb/a.dtb"];
        assert_eq!(targets(&files), ["vmlinuz-6.1", "dtb"]);
    }

    #[test]
    fn the_older_layout_wins_when_only_it_has_an_initramfs() {
        let (kernel, initramfs) =
            (format!("usr/lib/ostree-boot/vmlinuz-6-{SUM}"), format!("usr/lib/ostree-boot/initramfs-6.img-{SUM}"));
        assert_eq!(targets(&["usr/lib/modules/6.1/vmlinuz", &kernel]), ["vmlinuz-6.1"]);
        assert_eq!(targets(&["usr/lib/modules/6.1/vmlinuz", &kernel, &initramfs]), ["vmlinuz-6", "initramfs-6.img"]);
    }

    #[test]
    fn two_checksums_are_an_error() {
        let other = SUM.replace('5', "6");
        let error = found(&[&format!("boot/vmlinuz-6-{SUM}"), &format!("boot/initramfs-6-{other}")]).unwrap_err();
        assert!(error.contains("different checksums"), "{error}");
        assert!(found(&["boot/grub.cfg"]).unwrap_err().contains("has no kernel"));
    }
}
