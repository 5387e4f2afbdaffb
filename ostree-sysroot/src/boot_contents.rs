//! Kernel, initramfs and their files in `/boot/ostree/STATEROOT-BOOTCSUM`: which exist already, and are they intact?

mod files;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_formats::deployment::Checksum;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use system::dir::{self, Kind};
use system::tree::TreeWalk;
use system::{Context, SystemError};

use crate::boot_names::{self, kernel_directory, overlay_file};
use crate::compared_files::ComparedFiles;
use crate::deployment::{self, Deployment};
use crate::error::SysrootError;
use crate::kernel_layout::{self, BootFile, KernelError, KernelLayout};
use crate::roots::Roots;
use crate::same_files::{same, same_size};

pub use files::{BootFiles, Install, InstallMethod, Overlay};

/// Input of a survey that is not on the disk.
#[derive(Debug, Default)]
pub struct Beside {
    /// Files that were compared since the machine was booted.
    pub compared: ComparedFiles,
    /// The directory of the overlay initrds that are not in `/boot` yet.
    pub overlays: Option<OwnedFd>,
}

/// Finds the files that `list` needs and `/boot` lacks. The files of the first deployment, which boots next, are read and compared.
/// For the other deployments, existence and size are checked.
///
/// # Errors
/// A file cannot be read; the kernel of the first deployment is damaged in its tree; an overlay initrd does not exist.
pub fn survey(
    roots: &Roots,
    beside: &Beside,
    list: &[&Deployment],
    overlays: &[Checksum],
) -> Result<BootFiles, SysrootError> {
    let mut by_directory: BTreeMap<String, (&Deployment, bool)> = BTreeMap::new();
    for (index, deployment) in list.iter().enumerate() {
        let directory = kernel_directory(&deployment.path.stateroot, &deployment.bootcsum);
        by_directory.entry(directory).or_insert((deployment, index == 0));
    }
    let block = block_size(roots)?;
    let mut files = BootFiles::default();
    for (directory, (deployment, thorough)) in by_directory {
        // A damaged deployment has no kernel to install.
        let Some(layout) = deployment.kernel() else { continue };
        let source = kernel_layout::open_directory(&roots.sysroot, &deployment.path, layout)?;
        let survey =
            Survey { roots, compared: &beside.compared, directory, deployment, layout, source, thorough, block };
        files.installs.extend(survey.install(&mut files.warnings)?);
    }
    for checksum in overlays {
        files.overlays.extend(overlay(roots, beside.overlays.as_ref(), checksum, block)?);
    }
    Ok(files)
}

/// The overlay initrd, if `/boot` lacks it.
fn overlay(
    roots: &Roots,
    staged: Option<&OwnedFd>,
    checksum: &Checksum,
    block: u64,
) -> Result<Option<Overlay>, SysrootError> {
    let path = format!("ostree/{}", overlay_file(checksum));
    match dir::open(&roots.boot, &path, OFlags::PATH) {
        Ok(_) => return Ok(None),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error).context("read the attributes of", format_args!("/boot/{path}"))?,
    }
    let stat = match staged {
        Some(staged) => dir::stat_name(staged, checksum.as_str())
            .context("read the attributes of", format_args!("/run/ostree/staged-initrds/{checksum}"))?,
        None => None,
    };
    let stat = stat.filter(|stat| stat.kind == Kind::File);
    let stat = stat.ok_or_else(|| SysrootError::OverlayMissing(checksum.to_string()))?;
    Ok(Some(Overlay { checksum: checksum.clone(), bytes: stat.size.next_multiple_of(block) }))
}

/// One kernel directory, and the tree that it belongs to.
struct Survey<'a> {
    roots: &'a Roots,
    compared: &'a ComparedFiles,
    directory: String,
    deployment: &'a Deployment,
    layout: &'a KernelLayout,
    /// The kernel's directory in the tree.
    source: OwnedFd,
    /// Compare contents, not only sizes.
    thorough: bool,
    /// The block size of `/boot`.
    block: u64,
}

impl Survey<'_> {
    fn install(&self, warnings: &mut Vec<String>) -> Result<Option<Install>, SysrootError> {
        let (roots, directory) = (self.roots, &self.directory);
        let there = match dir::open(&roots.boot, format!("ostree/{directory}"), OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(there) => there,
            Err(Errno::NOENT) => {
                let all: Vec<BootFile> = self.layout.files().cloned().collect();
                let method =
                    if self.is_prepared(&all)? { InstallMethod::Prepared } else { InstallMethod::NewDirectory };
                return self.with(all, method).map(Some);
            }
            Err(error) => return Err(error).context("open", format_args!("/boot/ostree/{directory}"))?,
        };
        let lacking = self.lacking(&there)?;
        if lacking.is_empty() {
            return Ok(None);
        }
        // Which of the two is damaged?
        let Deployment { path, bootcsum, .. } = self.deployment;
        match kernel_layout::check(deployment::open(roots, path)?, path, self.layout, bootcsum) {
            Err(KernelError::Damaged { deployment, .. }) if !self.thorough => {
                warnings.push(format!(
                    "the kernel of /{deployment} is damaged and differs from /boot/ostree/{directory}: the copy in /boot is kept"
                ));
                Ok(None)
            }
            other => {
                other?;
                self.with(lacking, InstallMethod::Repair).map(Some)
            }
        }
    }

    /// Files of the tree that are missing in the directory `there`, or differ.
    fn lacking(&self, there: &OwnedFd) -> Result<Vec<BootFile>, SysrootError> {
        let (directory, source) = (&self.directory, &self.source);
        let mut lacking = Vec::new();
        for file in self.layout.files() {
            let shown = format_args!("/boot/ostree/{directory}/{}", file.target);
            if self.thorough
                && self.compared.has(directory, source, there, file).context("read the attributes of", shown)?
            {
                continue;
            }
            let is_same = if self.thorough { same(source, there, file) } else { same_size(source, there, file) };
            let is_same = match is_same {
                // `--plan` without root may not read it.
                Err(Errno::ACCESS) => same_size(source, there, file),
                other => other,
            };
            if !is_same.context("compare", shown)? {
                lacking.push(file.clone());
            }
        }
        Ok(lacking)
    }

    /// Whether the prepared directory exists, has exactly `files`, and each has the content of the tree's file.
    fn is_prepared(&self, files: &[BootFile]) -> Result<bool, SystemError> {
        let name = boot_names::prepared(&self.directory);
        let shown = format_args!("/boot/ostree/{name}");
        let there = match dir::open(&self.roots.boot, format!("ostree/{name}"), OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            other => other.context("open", shown)?,
        };
        let mut wanted: Vec<&str> = files.iter().map(|file| file.target.as_str()).collect();
        wanted.sort_unstable();
        if dir::names(&there, ".").context("list", shown)? != wanted {
            return Ok(false);
        }
        for file in files {
            let is_known = self.compared.has(&name, &self.source, &there, file);
            let is_whole = match is_known.context("read the attributes of", shown)? {
                true => true,
                // `--plan` without root may not read it, and does not install it.
                false => match same(&self.source, &there, file) {
                    Err(Errno::ACCESS) => false,
                    other => other.context("compare", shown)?,
                },
            };
            if !is_whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn with(&self, files: Vec<BootFile>, method: InstallMethod) -> Result<Install, SysrootError> {
        let bytes = self.bytes(&files, method)?;
        let deployment = self.deployment.path.clone();
        Ok(Install { directory: self.directory.clone(), deployment, layout: self.layout.clone(), files, method, bytes })
    }

    /// The bytes that installing needs in a `/boot` that is a filesystem of its own.
    fn bytes(&self, files: &[BootFile], method: InstallMethod) -> Result<u64, SystemError> {
        if !self.roots.boot_is_separate || method == InstallMethod::Prepared {
            return Ok(0);
        }
        let bytes_of = |file: &BootFile| {
            let shown = format_args!("/{}/{}/{}", self.deployment.path, self.layout.directory, file.source);
            size(&self.source, &file.source, self.block).context("read the attributes of", shown)
        };
        let sizes = files.iter().map(bytes_of).collect::<Result<Vec<u64>, SystemError>>()?;
        Ok(match method {
            // Each file replaces one before the next is written.
            InstallMethod::Repair => sizes.into_iter().max().unwrap_or(0),
            // One block for the directory itself.
            InstallMethod::NewDirectory => sizes.into_iter().sum::<u64>() + self.block,
            InstallMethod::Prepared => 0,
        })
    }
}

/// The block size of `/boot`.
fn block_size(roots: &Roots) -> Result<u64, SystemError> {
    Ok(rustix::fs::fstatvfs(&roots.boot).context("read the attributes of", "/boot")?.f_frsize.max(1))
}

fn size(directory: impl AsFd, name: &str, block: u64) -> Result<u64, Errno> {
    let stat = dir::stat_fd(dir::open(&directory, name, OFlags::PATH)?)?;
    let blocks = |size: u64| size.next_multiple_of(block);
    if stat.kind != Kind::Directory {
        return Ok(blocks(stat.size));
    }
    let opened = dir::open(directory, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let (mut walk, mut bytes) = (TreeWalk::new(&opened)?, block);
    while let Some(entry) = walk.next_entry()? {
        let path = OsStr::from_bytes(&entry.path);
        bytes += blocks(rustix::fs::statat(&opened, path, AtFlags::SYMLINK_NOFOLLOW)?.st_size.unsigned_abs());
    }
    Ok(bytes)
}
