//! Kernel, initramfs and what belongs to them in `/boot/ostree/STATEROOT-BOOTCSUM`: what is there already, and is it whole?
//! Only reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ostree_formats::deployment::{Checksum, DeploymentPath};
use ostree_sysroot::kernel_layout::{self, BootFile, KernelError, KernelLayout};
use ostree_sysroot::tree_walk::TreeWalk;
use rustix::fs::{AtFlags, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use system::dir::{self, Kind};
use system::{Context, SystemError, tree};

use crate::boot_plan::{BootPlan, boot_directory, overlay_file};
use crate::deployment::{self, Deployment};
use crate::deployment_list::Listed;
use crate::error::Error;
use crate::prepared::{self, Records};
use crate::roots::Roots;
use crate::staged::RunOstree;

/// What has to be done for one directory in `/boot/ostree`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Install {
    /// Its name.
    pub(crate) directory: String,
    /// Whose files they are.
    pub(crate) deployment: DeploymentPath,
    /// Where they are in it.
    #[serde(skip)]
    pub(crate) layout: KernelLayout,
    /// Those that are not there, or not whole.
    pub(crate) files: Vec<BootFile>,
    /// How.
    pub(crate) way: Way,
    /// What that takes of a `/boot` of its own.
    pub(crate) bytes: u64,
}

/// How files get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// All of them, in a directory that is renamed into place when it is whole.
    NewDirectory,
    /// That directory has been made beforehand, and only has to be renamed.
    Prepared,
    /// One by one, each replaced by a rename, in the directory that is there.
    Repair,
}

/// An overlay initrd that is not in `/boot` yet.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Overlay {
    /// Its name in `/run/ostree/staged-initrds`.
    pub(crate) checksum: Checksum,
    /// What it takes of `/boot`.
    pub(crate) bytes: u64,
}

/// All that has to be put into `/boot`.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct BootFiles {
    /// Directories.
    pub(crate) installs: Vec<Install>,
    /// Overlay initrds.
    pub(crate) overlays: Vec<Overlay>,
    /// They have been put there already, ahead of the transaction.
    #[serde(skip)]
    pub(crate) are_installed: bool,
}

impl BootFiles {
    /// What it takes of a `/boot` of its own.
    pub(crate) fn bytes(&self) -> u64 {
        let installs = self.installs.iter().map(|install| install.bytes);
        installs.chain(self.overlays.iter().map(|overlay| overlay.bytes)).sum()
    }

    /// What installing makes anew, as paths in `/boot`; of directories that were prepared, both names.
    pub(crate) fn new_paths(&self) -> Vec<String> {
        let new = self.installs.iter().filter(|install| install.way != Way::Repair);
        let names = |install: &Install| match install.way {
            Way::Prepared => vec![install.directory.clone(), prepared::name(&install.directory)],
            Way::NewDirectory | Way::Repair => vec![install.directory.clone()],
        };
        let overlays = self.overlays.iter().map(|overlay| overlay_file(&overlay.checksum));
        new.flat_map(names).chain(overlays).map(|name| format!("ostree/{name}")).collect()
    }
}

/// Looks what the list of `plan` lacks. Of the first deployment, which will be booted, files are read and compared; of the others,
/// that they are there with the right size has to do.
pub(crate) fn survey(roots: &Roots, run: Option<&RunOstree>, plan: &BootPlan) -> Result<BootFiles, Error> {
    let mut by_directory: BTreeMap<String, (&Listed, bool)> = BTreeMap::new();
    for (index, listed) in plan.list.iter().enumerate() {
        by_directory.entry(boot_directory(&listed.deployment)).or_insert((listed, index == 0));
    }
    let records = run.map(Records::read).unwrap_or_default();
    let mut files = BootFiles::default();
    for (directory, (listed, thorough)) in by_directory {
        files.installs.extend(survey_one(roots, &records, &directory, listed, thorough)?);
    }
    for checksum in &plan.overlays {
        let path = format!("ostree/{}", overlay_file(checksum));
        match dir::open(&roots.boot, &path, OFlags::PATH) {
            Ok(_) => continue,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error).context("look at", format_args!("/boot/{path}"))?,
        }
        let staged = run.map(RunOstree::staged_initrds).transpose()?.flatten();
        let stat = match staged {
            Some(staged) => dir::stat_name(staged, checksum.as_str())
                .context("look at", format_args!("/run/ostree/staged-initrds/{checksum}"))?,
            None => None,
        };
        let stat = stat.filter(|stat| stat.kind == Kind::File);
        let stat = stat.ok_or_else(|| Error::OverlayMissing(checksum.to_string()))?;
        let bytes = stat.size.next_multiple_of(block_size(roots)?);
        files.overlays.push(Overlay { checksum: checksum.clone(), bytes });
    }
    Ok(files)
}

fn survey_one(
    roots: &Roots,
    records: &Records,
    directory: &str,
    listed: &Listed,
    thorough: bool,
) -> Result<Option<Install>, Error> {
    // Of a damaged deployment nothing can be installed.
    let Some(layout) = listed.deployment.kernel() else { return Ok(None) };
    let source = kernel_layout::open_directory(&roots.sysroot, &listed.deployment.path, layout)?;
    let install = |files: Vec<BootFile>, way: Way| -> Result<Option<Install>, Error> {
        let costs = roots.boot_is_separate && way != Way::Prepared;
        let (directory, deployment) = (directory.to_owned(), listed.deployment.path.clone());
        let block = block_size(roots)?;
        let bytes_of = |file: &BootFile| {
            let shown = format_args!("/{deployment}/{}/{}", layout.directory, file.source);
            size(&source, &file.source, block).context("look at", shown)
        };
        let sizes =
            if costs { files.iter().map(bytes_of).collect::<Result<Vec<u64>, SystemError>>()? } else { Vec::new() };
        let bytes = match way {
            // One after the other takes the place of what is there.
            Way::Repair => sizes.into_iter().max().unwrap_or(0),
            // The directory itself is one block.
            Way::NewDirectory if costs => sizes.into_iter().sum::<u64>() + block,
            Way::NewDirectory | Way::Prepared => 0,
        };
        Ok(Some(Install { directory, deployment, layout: layout.clone(), files, way, bytes }))
    };
    let there = match dir::open(&roots.boot, format!("ostree/{directory}"), OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(there) => there,
        Err(Errno::NOENT) => {
            let all: Vec<BootFile> = layout.files().cloned().collect();
            let ready = prepared::is_whole(roots, &source, directory, &all, records);
            return install(all, if ready { Way::Prepared } else { Way::NewDirectory });
        }
        Err(error) => return Err(error).context("open", format_args!("/boot/ostree/{directory}"))?,
    };
    let mut lacking = Vec::new();
    for file in layout.files() {
        if thorough && records.has(directory, &source, &there, file) {
            continue;
        }
        let same = match if thorough { same(&source, &there, file) } else { same_size(&source, &there, file) } {
            // Whoever only looks may not read it.
            Err(Errno::ACCESS) => same_size(&source, &there, file),
            other => other,
        };
        if !same.context("compare", format_args!("/boot/ostree/{directory}/{}", file.target))? {
            lacking.push(file.clone());
        }
    }
    if lacking.is_empty() {
        return Ok(None);
    }
    // Which of the two is damaged?
    let Deployment { path, bootcsum, .. } = &listed.deployment;
    match kernel_layout::check(deployment::open(roots, path)?, path, layout, bootcsum) {
        Err(KernelError::Damaged { deployment, .. }) if !thorough => {
            log::warn!(
                "/{deployment} has another kernel than /boot/ostree/{directory}, and a damaged one: nothing is replaced"
            );
            Ok(None)
        }
        other => {
            other?;
            install(lacking, Way::Repair)
        }
    }
}

/// What files on `/boot` are rounded up to.
fn block_size(roots: &Roots) -> Result<u64, SystemError> {
    Ok(rustix::fs::fstatvfs(&roots.boot).context("look at", "/boot")?.f_frsize.max(1))
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

/// Whether both have a file of the same size there; a directory has only to be there.
fn same_size(source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<bool, Errno> {
    let there = match dir::stat_name(there, &file.target)? {
        Some(stat) => stat,
        None => return Ok(false),
    };
    let source = dir::stat_fd(dir::open(source, &file.source, OFlags::PATH)?)?;
    Ok(source.kind == there.kind && (file.is_directory || source.size == there.size))
}

/// Whether both have the same content there.
pub(crate) fn same(source: &OwnedFd, there: &OwnedFd, file: &BootFile) -> Result<bool, Errno> {
    let one = dir::open(source, &file.source, FOR_READING)?;
    let other = match dir::open(there, &file.target, FOR_READING | OFlags::NOFOLLOW) {
        Err(Errno::NOENT | Errno::LOOP) => return Ok(false),
        other => other?,
    };
    match dir::stat_fd(&one)?.kind {
        Kind::Directory if dir::stat_fd(&other)?.kind == Kind::Directory => same_trees(&one, &other),
        _ => same_files(&one, &other),
    }
}

const FOR_READING: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Whether `other` has all that is installed of `one`: links are copied as links, and devices, fifos and sockets are not copied.
fn same_trees(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (mut wanted, mut found) = (TreeWalk::new(one)?, TreeWalk::new(other)?);
    loop {
        let mut entry = wanted.next_entry()?;
        while entry.as_ref().is_some_and(|entry| entry.kind == Kind::Other) {
            entry = wanted.next_entry()?;
        }
        if entry != found.next_entry()? {
            return Ok(false);
        }
        let Some(entry) = entry else { return Ok(true) };
        let path = OsStr::from_bytes(&entry.path);
        let same = match entry.kind {
            Kind::Link => {
                rustix::fs::readlinkat(one, path, Vec::new())? == rustix::fs::readlinkat(other, path, Vec::new())?
            }
            Kind::File => {
                let open = |root: &OwnedFd| dir::open_plainly(root, path, FOR_READING);
                same_files(&open(one)?, &open(other)?)?
            }
            Kind::Directory | Kind::Other => true,
        };
        if !same {
            return Ok(false);
        }
    }
}

fn same_files(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    let (stat, other_stat) = (dir::stat_fd(one)?, dir::stat_fd(other)?);
    if (stat.kind, other_stat.kind) != (Kind::File, Kind::File) {
        return Ok(false);
    }
    if (stat.device, stat.inode) == (other_stat.device, other_stat.inode) {
        return Ok(true);
    }
    Ok(stat.size == other_stat.size && same_content(one, other)?)
}

fn same_content(one: &OwnedFd, other: &OwnedFd) -> Result<bool, Errno> {
    const PIECE: usize = 256 << 10;
    let (mut left, mut right) = (vec![0u8; PIECE], vec![0u8; PIECE]);
    loop {
        let count = tree::fill(one, &mut left)?;
        if count != tree::fill(other, &mut right)? || left.get(..count) != right.get(..count) {
            return Ok(false);
        }
        if count < PIECE {
            return Ok(true);
        }
    }
}
